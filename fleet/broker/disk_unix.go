//go:build linux || darwin || freebsd || dragonfly

package broker

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// flock takes f's lock or returns ErrLocked; the kernel releases it when f is closed
// or the process dies.
func flock(f *os.File) error {
	err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return ErrLocked
	}
	return err
}

// Free returns the bytes that may still be written below dir, when the system tells.
func Free(dir string) (bytes int64, known bool) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, false
	}
	return int64(st.Bavail) * int64(st.Bsize), true
}
