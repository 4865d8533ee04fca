package store

import "syscall"

// releasePages drops the mapped pages of size bytes at address from this process. They stay in the kernel's cache.
func releasePages(address uintptr, size int64) {
	// A failure leaves memory in use that the kernel may take at any time.
	_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, address, uintptr(size), syscall.MADV_DONTNEED)
}
