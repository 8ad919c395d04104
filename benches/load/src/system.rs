//! What the standard library does not offer: cores, limits, and a child that dies with its parent.
//!
//! The unsafe code of the generator is here and nowhere else: plain system calls on values of our own.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Binds the calling thread, and what it starts, to one core.
pub fn pin_to_core(core: usize) -> io::Result<()> {
    // SAFETY: an all-zero `cpu_set_t` is the empty set; CPU_SET stays inside it because it checks
    // the index; the kernel only reads the set.
    let result = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(core, &mut set);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Raises the soft limit of open files to the hard one and returns it.
pub fn raise_open_files() -> io::Result<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: both calls get a valid `rlimit` that outlives them.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) != 0 {
            return Err(io::Error::last_os_error());
        }
        limit.rlim_cur = limit.rlim_max;
        if libc::setrlimit(libc::RLIMIT_NOFILE, &limit) != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(limit.rlim_cur)
}

/// Makes the child die when this process does, however that happens, and binds it to `core`.
pub fn tie_to_parent(command: &mut Command, core: Option<usize>) {
    let prepare = move || {
        // SAFETY: prctl with these arguments touches no memory.
        unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
        core.map_or(Ok(()), pin_to_core)
    };
    // SAFETY: between fork and exec the closure makes two system calls, allocates nothing and takes no lock.
    unsafe { command.pre_exec(prepare) };
}

/// Lets all other threads go first: for what stands for other machines.
pub fn yield_to_others() {
    // SAFETY: plain integers; 0 names the calling thread. A refusal leaves the thread as it was, which is no fault.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, 19) };
}

/// Clock ticks a second, the unit of `/proc/PID/stat`.
pub fn ticks_per_second() -> u64 {
    // SAFETY: sysconf only reads its argument.
    let ticks = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
    u64::try_from(ticks).unwrap_or(100)
}
