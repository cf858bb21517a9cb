"""What others read of us over HTTP. It reads, it never decides."""
