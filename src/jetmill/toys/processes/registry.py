"""The processes: all modules beside this one with a `PROCESS`."""

from jetmill.discovery import found_in
from jetmill.toys import processes
from jetmill.toys.processes.process import Process

PROCESSES: dict[str, Process] = found_in(processes, "PROCESS")
