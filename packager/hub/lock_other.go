//go:build !linux && !darwin && !freebsd && !dragonfly && !netbsd && !openbsd

package hub

import (
	"errors"
	"os"
)

// tryLock has no lock to take here; files of its own name then keep processes apart.
func tryLock(*os.File) (bool, error) { return false, errors.ErrUnsupported }
