// Package durable writes files that are either wholly there or not there at all, whatever instant the power fails.
//
// The sequence is always the same: a temporary file in the target's own folder, write, fsync, close, rename (or link, where
// nothing may be replaced), fsync of the folder. It must not import anything of ours.
package durable

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// Write replaces the file at path by what fill writes, with the permission bits perm. What is there and is no regular file
// (a folder, a device, a pipe) is not replaced: that is an error. When it returns an error, the file at
// path is what it was before, unless the error is of the last step ("sync folder"): then the new content stands but may not
// outlive a power cut. No temporary file remains in either case.
func Write(path string, perm fs.FileMode, fill func(w io.Writer) error) error {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("replace %s: not a regular file", path)
	}
	return write(path, perm, fill, os.Rename)
}

// Create is Write for a path that must not exist yet: it returns an error that is fs.ErrExist, and writes nothing, when
// something is already there.
func Create(path string, perm fs.FileMode, fill func(w io.Writer) error) error {
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("create %s: %w", path, fs.ErrExist)
	}
	return write(path, perm, fill, linkNew)
}

func write(path string, perm fs.FileMode, fill func(w io.Writer) error, place func(from, to string) error) error {
	dir := filepath.Dir(path)
	temp, err := os.CreateTemp(dir, "."+filepath.Base(path)+".*.tmp")
	if err != nil {
		return fmt.Errorf("create temporary file: %w", err)
	}
	if err := fillFile(temp, perm, fill); err != nil {
		return errors.Join(err, os.Remove(temp.Name()))
	}
	if err := place(temp.Name(), path); err != nil {
		return errors.Join(fmt.Errorf("place file: %w", err), os.Remove(temp.Name()))
	}
	if err := SyncDir(dir); err != nil {
		return fmt.Errorf("sync folder: %w", err)
	}
	return nil
}

// fillFile writes, syncs and always closes f.
func fillFile(f *os.File, perm fs.FileMode, fill func(w io.Writer) error) error {
	err := fill(f)
	if err == nil {
		err = f.Chmod(perm)
	}
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	return err
}

// linkNew moves a file without ever replacing one: a link fails where the target exists, a rename does not.
func linkNew(from, to string) error {
	err := os.Link(from, to)
	if err == nil {
		return os.Remove(from)
	}
	if errors.Is(err, fs.ErrExist) {
		return err
	}
	// Some file systems have no links. The target was absent a moment ago; look once more and rename.
	if _, statErr := os.Lstat(to); statErr == nil {
		return fs.ErrExist
	}
	return os.Rename(from, to)
}

// SyncDir makes the names in a folder durable.
func SyncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil // folders cannot be opened for syncing there; renames are journalled by the file system
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if closeErr := d.Close(); err == nil {
		err = closeErr
	}
	return err
}
