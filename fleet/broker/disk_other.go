//go:build !(linux || darwin || freebsd || dragonfly)

package broker

import "os"

// flock takes no lock where the system offers no flock: the operator must see to it
// that one server runs on a folder.
func flock(*os.File) error { return nil }

// Free does not know how much may still be written.
func Free(string) (bytes int64, known bool) { return 0, false }
