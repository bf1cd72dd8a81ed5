"""Log rotation's former place: units of an earlier install start it here until `peerwatch services install` runs."""

import sys

from fleet.processes.log_rotation import main

if __name__ == "__main__":
    sys.exit(main())
