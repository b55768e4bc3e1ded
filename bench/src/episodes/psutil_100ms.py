"""What psutil tells of a command and its descendants, asked every 100 ms: REPORT COMMAND ARGUMENTS."""

import json
import subprocess
import sys
import time

import psutil

child = subprocess.Popen(sys.argv[2:], stdout=subprocess.DEVNULL)
root = psutil.Process(child.pid)
cpu_ms, written, peak = {}, {}, 0
while child.poll() is None:
    resident = 0
    try:
        everybody = [root, *root.children(recursive=True)]
    except psutil.Error:
        everybody = []
    for process in everybody:
        try:
            with process.oneshot():
                key = (process.pid, process.create_time())
                times = process.cpu_times()
                cpu_ms[key] = (times.user + times.system) * 1000
                written[key] = process.io_counters().write_bytes
                resident += process.memory_info().rss
        except psutil.Error:
            pass
    peak = max(peak, resident)
    time.sleep(0.1)
report = {"cpu_ms": sum(cpu_ms.values()), "peak_bytes": peak, "written_bytes": sum(written.values())}
with open(sys.argv[1], "w", encoding="utf-8") as file:
    json.dump(report, file)
sys.exit(child.returncode)
