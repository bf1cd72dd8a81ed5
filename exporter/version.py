"""The version of Peerwatch; the build reads it too, for looking it up among installed packages costs 1 MB of memory."""

VERSION = "0.1.0"
