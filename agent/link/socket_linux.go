package link

import (
	"fmt"
	"syscall"
	"time"
)

// tcpUserTimeout is TCP_USER_TIMEOUT, which package syscall does not name.
const tcpUserTimeout = 0x12

// controlSocket bounds how long sent data may stay unacknowledged: the kernel's own patience with a half-open connection is a quarter
// of an hour.
func controlSocket(_, _ string, c syscall.RawConn) error {
	var err error
	done := c.Control(func(fd uintptr) {
		err = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpUserTimeout, int(silence/time.Millisecond))
	})
	if done != nil {
		return done
	}
	if err != nil {
		return fmt.Errorf("set TCP user timeout: %w", err)
	}
	return nil
}
