//go:build !unix

package parts

import (
	"os"
	"path/filepath"
)

// mapFile reads path into memory, on systems where it is not mapped.
func mapFile(path string, max int64) ([]byte, func() error, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, nil, err
	}
	if err := regular(info, filepath.Base(path), max); err != nil {
		return nil, nil, err
	}
	data, err := os.ReadFile(path)
	return data, func() error { return nil }, err
}

func release([]byte) {}
