//go:build linux || darwin || freebsd || dragonfly || netbsd || openbsd

package hub

import (
	"errors"
	"os"
	"syscall"
)

// tryLock takes f's lock, the one that huggingface_hub takes on these systems, and
// reports whether it got it. The kernel releases it when f is closed or the
// process dies. A file system without locks gives errors.ErrUnsupported.
func tryLock(f *os.File) (bool, error) {
	for {
		switch err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); {
		case err == nil:
			return true, nil
		case errors.Is(err, syscall.EINTR):
		case errors.Is(err, syscall.EWOULDBLOCK):
			return false, nil
		case errors.Is(err, syscall.ENOLCK):
			return false, errors.ErrUnsupported
		default:
			return false, err // ENOSYS and ENOTSUP are errors.ErrUnsupported
		}
	}
}
