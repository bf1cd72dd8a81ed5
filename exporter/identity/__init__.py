"""Who a peer is: its id, from the key file, and the name that operators know it by."""
