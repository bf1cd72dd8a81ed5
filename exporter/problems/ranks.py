"""Processes of a run that ended or were lost, as launchers and the other ranks say: the cause is elsewhere. Pure."""

from exporter.problems.problem_class import define, in_order

RANKS = (
    define(
        "rank_lost",
        (
            in_order(r"\bProcessGroupNCCL", r"(watchdog|timed out)"),
            r"\bWatchdog caught collective operation timeout: |\bHeartbeat monitor timed out!",
            r"\bgloo/transport/tcp/\w{1,40}\.cc:\d+\] ",
            r"\bnccl(Remote|System|Internal)Error: |, remote process exited or there was a network error\b",
            r"\bNCCL error in: \S{1,300}, (unhandled system|internal) error\b",
            r"\bCall to (recv|send|connect) (from|to) \S{1,200} failed : ",
            r"\bNCCL WARN (\w{1,40}: )?Connect to \S{1,200} failed : ",
            r"\bProxy Call to rank \d+ failed|\bService thread\] Error encountered progressing operation",
            r"\[c10d\] (\w{1,20} failed on SocketImpl\(|The client socket has timed out\b)",
            r"\bmaybe TCPStore server has shut down\b",
            r"\bNCCL WARN \S+ ?:? ?Connection closed by ",
            r"\bNET/IB ?: Got completion from peer \S{1,200} with (error|status)",
            r"\bDistStoreError: |\bRendezvous(Connection|Timeout|Closed)Error\b"
            r"|\bTimed out initializing process group in store based barrier\b",
            # Ray: by what, it does not know.
            r"\bactor (is dead|died) because its worker process has died\b",
            r"\bWorker unexpectedly exits with a connection error\b",
            r"\breached monitoredBarrier, but received errors while waiting for send/recv from rank \d",
        ),
        "another process of the run was lost, or did not answer in time",
        "see the first error in the logs of all ranks; else check the network between them, or raise the timeout",
        is_vague=True,
    ),
    define(
        "worker_failed",
        (
            r"\bChildFailedError:|\bProcessRaisedException:",
            # By -2 and -15 somebody stopped it.
            r"\bfailed \(exitcode: (?!-(2|15)\b)-?\d+\) local_rank: ",
            r"\bexits with return code = (?!-(2|15)\b)-?[1-9]",
            r"\bCalledProcessError: Command .{0,80}\bpython[\d.]*'.{0,1500} returned non-zero exit status [1-9]",
        ),
        "a process below the launcher ended with an error",
        "see that process's own error, above in the log or in the log of its rank",
        is_vague=True,
    ),
)

# Each line that they know holds one of these.
MARKERS = (
    *("ProcessGroupNCCL", "Watchdog", "monitor timed", "gloo", "nccl", "NCCL WARN", "NCCL error", "network error"),
    *("Call to", "TCPStore", "Service thread", "NET/IB", "DistStore", "CalledProcess", "ChildFailed", "Rendezvous"),
    *("imed out", "monitoredBarrier", "ProcessRaised", "exitcode", "return code", "orker ", "[c10d]"),
)
