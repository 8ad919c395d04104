use std::io;
#[derive(clap::Args)]
pub struct Options {}
pub fn run(_: &crate::scene::Place, _: &Options) -> io::Result<()> { Ok(()) }
