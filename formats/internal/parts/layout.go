package parts

import (
	"errors"
	"fmt"
	"io/fs"
)

// Layout is how a format's weights lie in a folder: in one file or, where that does not
// exist, in the shards that an index names.
type Layout struct {
	Single string // name of the one file
	Index  string // name of the index; "" where there are no shards
	Suffix string // of a shard's name
}

// Set is the files behind a model's weights: one, or the index and then each shard, sorted.
type Set []Part

// Read opens the files and gives each but the index to take, which returns the names of its
// tensors; they are compared with what the index says. Where there is neither file nor
// index the error is fs.ErrNotExist. After an error nothing stays open.
func (l Layout) Read(open Opener, take func(Part) ([]string, error)) (Set, error) {
	var set Set
	err := set.read(l, open, take)
	if err != nil {
		return nil, errors.Join(err, set.Close())
	}
	return set, nil
}

func (s *Set) read(l Layout, open Opener, take func(Part) ([]string, error)) error {
	part, err := open(l.Single, 1<<62)
	if err == nil {
		*s = append(*s, part)
		_, err = take(part)
		return err
	}
	if !errors.Is(err, fs.ErrNotExist) || l.Index == "" {
		return err
	}
	part, err = open(l.Index, MaxIndex)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("neither %s nor %s: %w", l.Single, l.Index, fs.ErrNotExist)
	}
	if err != nil {
		return err
	}
	*s = append(*s, part)
	index, err := ParseIndex(l.Index, part.Data, l.Suffix)
	if err != nil {
		return err
	}
	return s.shards(index, open, take)
}

// shards reads what the index names and compares the two.
func (s *Set) shards(index Index, open Opener, take func(Part) ([]string, error)) error {
	found := make(map[string]bool)
	for _, shard := range index.Shards {
		part, err := open(shard, 1<<62)
		if errors.Is(err, fs.ErrNotExist) {
			return index.Missing(shard)
		}
		if err != nil {
			return err
		}
		*s = append(*s, part)
		names, err := take(part)
		if err != nil {
			return err
		}
		if err := index.Merge(shard, names); err != nil {
			return err
		}
		for _, name := range names {
			found[name] = true
		}
	}
	return index.Complete(func(name string) bool { return found[name] })
}

// Each calls visit with the name and the bytes of every file.
func (s Set) Each(visit func(name string, data []byte) error) error {
	for _, p := range s {
		if err := visit(p.Name, p.Data); err != nil {
			return err
		}
	}
	return nil
}

// Release lets go of the memory that holds data, a part of one of the files.
func (s Set) Release(data []byte) {
	for _, p := range s {
		p.Release(data)
	}
}

// Close gives the files back; their bytes must not be used afterwards.
func (s Set) Close() error {
	var errs []error
	for _, p := range s {
		errs = append(errs, p.Close())
	}
	return errors.Join(errs...)
}
