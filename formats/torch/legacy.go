package torch

import (
	"bytes"
	"encoding/binary"
	"strings"
)

// The number that starts a legacy file, as the pickled long holds it, and the
// version that follows.
const (
	legacyMagic   = "\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"
	legacyVersion = 1001
)

// Parse reads a whole file held in data, which the File borrows.
func Parse(data []byte) (*File, error) { return parse(data, func([]byte) {}) }

// parse is Parse that gives parts of data which were only compared to release.
func parse(data []byte, release func([]byte)) (*File, error) {
	switch {
	case bytes.HasPrefix(data, []byte("PK\x03\x04")):
		return parseZip(data, release)
	case len(data) > 0 && data[0] == opProto:
		return parseLegacy(data)
	}
	return nil, fault("", 0, "%s", guess(data))
}

// guess says what bytes are that are neither of the two formats.
func guess(data []byte) string {
	head := strings.ToLower(string(bytes.TrimSpace(data[:min(len(data), 512)])))
	switch {
	case len(data) == 0:
		return "the file is empty"
	case strings.HasPrefix(head, "version https://git-lfs"):
		return "a git-lfs pointer, not the file itself; get it with git lfs pull"
	case strings.HasPrefix(head, "<!doctype html"), strings.HasPrefix(head, "<html"):
		return "an HTML page, not weights; download the file itself"
	}
	return "neither a zip file nor a pickle: not written by torch.save"
}

// parseLegacy reads a file of the stream format.
func parseLegacy(data []byte) (*File, error) {
	m := newMachine("", data, 0, len(data))
	if err := legacyHead(m); err != nil {
		return nil, err
	}
	top, err := m.run()
	if err != nil {
		return nil, err
	}
	at := m.pos
	list, err := m.run()
	if err != nil {
		return nil, err
	}
	keys, ok := list.(*seq)
	if !ok || len(keys.items) != len(m.storages) {
		return nil, fault("", at, "the list of storages does not name the %d that the tensors use", len(m.storages))
	}
	pos := m.pos
	for _, k := range keys.items {
		key, _ := k.(string)
		s := m.storages[key]
		if s == nil || s.data != nil {
			return nil, fault("", at, "the list of storages names %.50q, which no tensor uses or which was there before", key)
		}
		if pos, err = s.fill(data, pos); err != nil {
			return nil, err
		}
	}
	if pos != len(data) {
		return nil, fault("", pos, "%d bytes follow the last storage", len(data)-pos)
	}
	return newFile("", top)
}

// legacyHead reads the three pickles before the object: the magic number, the
// version, and facts about the machine that wrote the file.
func legacyHead(m *machine) error {
	magic, err := m.run()
	if err != nil {
		return err
	}
	if n, ok := magic.(long); !ok || string(n) != legacyMagic {
		return fault("", 0, "a pickle, but not one of torch.save: the magic number is wrong")
	}
	at := m.pos
	version, err := m.run()
	if err != nil {
		return err
	}
	if version != int64(legacyVersion) {
		return fault("", at, "the version is not %d", legacyVersion)
	}
	at = m.pos
	info, err := m.run()
	if err != nil {
		return err
	}
	d, ok := info.(*dict)
	if !ok {
		return fault("", at, "no facts about the system that wrote the file")
	}
	if little, ok := d.get("little_endian"); ok && little != true {
		return fault("", at, "little_endian is not true; only little-endian files are read")
	}
	return nil
}

// fill takes the storage's elements at pos of the file, after their count.
func (s *storage) fill(data []byte, pos int) (int, error) {
	if len(data)-pos < 8 {
		return 0, fault("", pos, "the file ends where storage %q starts", s.key)
	}
	count := binary.LittleEndian.Uint64(data[pos:])
	if count != uint64(s.count) {
		return 0, fault("", pos, "storage %q has %d elements, but the pickle says %d", s.key, count, s.count)
	}
	pos += 8
	if rest := len(data) - pos; s.count > rest/s.dtype.Size() {
		return 0, fault("", pos, "storage %q has %d elements of %v, but %d bytes follow", s.key, s.count, s.dtype, rest)
	}
	end := pos + s.count*s.dtype.Size()
	s.data = data[pos:end:end]
	return end, nil
}
