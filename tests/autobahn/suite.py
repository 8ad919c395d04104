"""Runs Autobahn's fuzzingclient against one server and judges its report: suite.py HOME URL [CASE...] (Python 2.7).

HOME/packages holds the suite; HOME/reports gets a page for each case. The exit status is 1 if a case failed, or if it was
answered less strictly than it could be. Groups 12 and 13 are about compression, which is not spoken: UNIMPLEMENTED.
"""
from __future__ import print_function

import collections
import json
import os
import site
import sys

home, url = sys.argv[1:3]
cases = sys.argv[3:] or ["*"]
packages = os.path.join(home, "packages")
# As a site directory: zope is a namespace over several packages.
site.addsitedir(packages)
sys.path.insert(0, packages)

os.chdir(home)
if os.path.exists("reports/index.json"):
    os.remove("reports/index.json")
with open("spec.json", "w") as spec:
    json.dump({"outdir": "reports", "servers": [{"agent": "echo", "url": url}], "cases": cases,
               "exclude-cases": [], "exclude-agent-cases": {}}, spec)

with open("wstest.log", "w") as log:
    terminal, sys.stdout, sys.stderr = (sys.stdout, sys.stderr), log, log
    from autobahntestsuite import wstest
    sys.argv = ["wstest", "-m", "fuzzingclient", "-s", "spec.json"]
    try:
        wstest.run()
    finally:
        sys.stdout, sys.stderr = terminal

with open("reports/index.json") as index:
    report = json.load(index)["echo"]

numbers = lambda case: [int(number) for number in case.split(".")]
groups = collections.OrderedDict()
for case in sorted(report, key=numbers):
    behavior = report[case]["behavior"]
    groups.setdefault(numbers(case)[0], collections.Counter())[behavior] += 1
tell = lambda counts: ", ".join("%d %s" % (count, name) for name, count in sorted(counts.items()))
for group, counts in groups.items():
    print("autobahn: group %d: %s" % (group, tell(counts)))
total = sum(groups.values(), collections.Counter())
print("autobahn: %d cases: %s" % (sum(total.values()), tell(total)))

# INFORMATIONAL: the suite looks, and wants nothing (7.1.6, 7.13.1, 7.13.2).
allowed = {"OK", "INFORMATIONAL"}
bad = []
for case in sorted(report, key=numbers):
    fine = allowed | {"UNIMPLEMENTED"} if numbers(case)[0] in (12, 13) else allowed
    for what in ("behavior", "behaviorClose"):
        if report[case][what] not in fine:
            bad.append("%s: %s is %s" % (case, what, report[case][what]))
for line in bad:
    print("autobahn: case " + line)
sys.exit(1 if bad or not report else 0)
