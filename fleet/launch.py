"""The launcher's former place: units of an earlier install start it here until `peerwatch services install` runs."""

from fleet.processes.launch import main

if __name__ == "__main__":
    main()
