package torch

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"maps"
	"math"
	"slices"
	"strings"

	"skiff/formats/internal/parts"
)

// Sizes and signatures of the records of a zip file.
const (
	localSize   = 30
	centralSize = 46
	endSize     = 22
	locatorSize = 20
	end64Size   = 56
	maxComment  = 1<<16 - 1

	localMagic   = "PK\x03\x04"
	centralMagic = "PK\x01\x02"
	endMagic     = "PK\x05\x06"
	locatorMagic = "PK\x06\x07"
	end64Magic   = "PK\x06\x06"
)

// entry is a stored file of an archive.
type entry struct {
	name       string
	start      int // of the local header
	begin, end int // of the data
	crc        uint32
}

// archive is a zip file of which every entry is stored as it is, as torch.save
// does: a compressed one is refused, so nothing can grow when it is read.
type archive struct {
	data    []byte
	release func([]byte) // of parts that were only compared
	entries map[string]entry
}

// directory is where the list of the entries lies.
type directory struct{ begin, end, count uint64 }

// openArchive reads the directory of a zip file and checks every entry: inside
// the file, apart from the others, stored, and with the right checksum.
func openArchive(data []byte, release func([]byte)) (*archive, error) {
	d, err := findDirectory(data)
	if err != nil {
		return nil, err
	}
	z := &archive{data: data, release: release, entries: make(map[string]entry, d.count)}
	list := make([]entry, 0, d.count)
	at := int(d.begin)
	for range d.count {
		e, next, err := z.central(at, int(d.end))
		if err != nil {
			return nil, err
		}
		if _, ok := z.entries[e.name]; ok {
			return nil, fault("", at, "the entry %.200q is there twice", e.name)
		}
		z.entries[e.name], list, at = e, append(list, e), next
	}
	if at != int(d.end) {
		return nil, fault("", at, "%d bytes follow the last entry of the zip directory", int(d.end)-at)
	}
	slices.SortFunc(list, func(a, b entry) int { return a.start - b.start })
	for i, e := range list {
		limit := int(d.begin)
		if i+1 < len(list) {
			limit = list[i+1].start
		}
		if e.end > limit {
			return nil, fault(e.name, -1, "its data ends at %d, inside what starts at %d", e.end, limit)
		}
	}
	return z, nil
}

// findDirectory finds the records at the end of the file.
func findDirectory(data []byte) (directory, error) {
	at := findEnd(data)
	if at < 0 {
		return directory{}, fault("", -1, "a zip file without its directory at the end: it is cut off")
	}
	le, b := binary.LittleEndian, data[at:]
	d := directory{begin: uint64(le.Uint32(b[16:])), count: uint64(le.Uint16(b[10:]))}
	size, limit := uint64(le.Uint32(b[12:])), uint64(at)
	if le.Uint16(b[4:]) != 0 || le.Uint16(b[6:]) != 0 || le.Uint16(b[8:]) != le.Uint16(b[10:]) {
		return directory{}, fault("", at, "a zip file in several parts")
	}
	if at >= locatorSize && string(data[at-locatorSize:][:4]) == locatorMagic {
		start := le.Uint64(data[at-locatorSize+8:])
		if start > uint64(at-locatorSize) || uint64(at-locatorSize)-start < end64Size || string(data[start:][:4]) != end64Magic {
			return directory{}, fault("", at-locatorSize, "the zip64 locator points to %d, where no record is", start)
		}
		b, limit = data[start:], start
		d.count, size, d.begin = le.Uint64(b[32:]), le.Uint64(b[40:]), le.Uint64(b[48:])
	}
	if d.begin > limit || size != limit-d.begin {
		return directory{}, fault("", at, "the zip directory should lie at %d with %d bytes, but has to end at %d", d.begin, size, limit)
	}
	if d.count > size/centralSize {
		return directory{}, fault("", at, "a zip directory of %d bytes with %d entries", size, d.count)
	}
	d.end = limit
	return d, nil
}

// findEnd is the offset of the last record, whose comment ends the file; -1
// where there is none.
func findEnd(data []byte) int {
	for at := len(data) - endSize; at >= 0 && at >= len(data)-endSize-maxComment; at-- {
		if string(data[at:][:4]) == endMagic && at+endSize+int(binary.LittleEndian.Uint16(data[at+20:])) == len(data) {
			return at
		}
	}
	return -1
}

// central reads the directory record at one offset and is followed by the next.
func (z *archive) central(at, end int) (entry, int, error) {
	if end-at < centralSize || string(z.data[at:][:4]) != centralMagic {
		return entry{}, 0, fault("", at, "no record of the zip directory where one should be")
	}
	le, b := binary.LittleEndian, z.data[at:end]
	nameLen, extraLen, commentLen := int(le.Uint16(b[28:])), int(le.Uint16(b[30:])), int(le.Uint16(b[32:]))
	length := centralSize + nameLen + extraLen + commentLen
	if length > len(b) {
		return entry{}, 0, fault("", at, "a record of the zip directory of %d bytes, with %d left", length, len(b))
	}
	e := entry{name: string(b[centralSize:][:nameLen]), crc: le.Uint32(b[16:])}
	switch method := le.Uint16(b[10:]); {
	case le.Uint16(b[8:])&1 != 0:
		return entry{}, 0, fault(shown(e.name), -1, "encrypted")
	case method != 0:
		return entry{}, 0, fault(shown(e.name), -1, "compressed (method %d); PyTorch stores without compression", method)
	}
	packed, size, start, ok := sizes(b, b[centralSize+nameLen:][:extraLen])
	switch {
	case !ok:
		return entry{}, 0, fault(shown(e.name), -1, "the zip directory has no 64-bit sizes where it needs them")
	case packed != size:
		return entry{}, 0, fault(shown(e.name), -1, "stored in %d bytes and yet %d bytes long", packed, size)
	case leaves(e.name):
		return entry{}, 0, fault("", at, "the entry %.200q leaves the archive", e.name)
	}
	if err := z.local(&e, start, size); err != nil {
		return entry{}, 0, err
	}
	return e, at + length, nil
}

// sizes are the stored size, the size and the offset of a directory record,
// which may be in its zip64 extra field.
func sizes(b, extra []byte) (packed, size, start uint64, ok bool) {
	le := binary.LittleEndian
	packed, size, start = uint64(le.Uint32(b[20:])), uint64(le.Uint32(b[24:])), uint64(le.Uint32(b[42:]))
	var wide []byte
	for len(extra) >= 4 {
		n := int(le.Uint16(extra[2:]))
		if n > len(extra)-4 {
			return 0, 0, 0, false
		}
		if le.Uint16(extra) == 1 {
			wide = extra[4:][:n]
		}
		extra = extra[4+n:]
	}
	for _, field := range []*uint64{&size, &packed, &start} {
		if *field != math.MaxUint32 {
			continue
		}
		if len(wide) < 8 {
			return 0, 0, 0, false
		}
		*field, wide = le.Uint64(wide), wide[8:]
	}
	return packed, size, start, true
}

// leaves reports whether a name is absolute or climbs. No entry is ever written
// to a disk; PyTorch makes no such names all the same.
func leaves(name string) bool {
	return strings.HasPrefix(name, "/") || strings.Contains(name, "\\") || slices.Contains(strings.Split(name, "/"), "..")
}

// local compares the entry with its header in front of the data.
func (z *archive) local(e *entry, start, size uint64) error {
	length := uint64(len(z.data))
	if start > length || length-start < localSize || string(z.data[start:][:4]) != localMagic {
		return fault(shown(e.name), -1, "the zip directory places it at %d, where no entry is", start)
	}
	le, b := binary.LittleEndian, z.data[start:]
	head := localSize + uint64(le.Uint16(b[26:])) + uint64(le.Uint16(b[28:]))
	if head > uint64(len(b)) || size > uint64(len(b))-head {
		return fault(shown(e.name), -1, "%d bytes at %d of a file of %d bytes", size, start, length)
	}
	if name := b[localSize:][:le.Uint16(b[26:])]; string(name) != e.name {
		return fault(shown(e.name), -1, "called %.200q in front of its data", name)
	}
	if le.Uint16(b[8:]) != 0 {
		return fault(shown(e.name), -1, "compressed, says the header in front of its data")
	}
	e.start, e.begin = int(start), int(start+head)
	e.end = e.begin + int(size)
	// A writer may be told to leave checksums out and then writes 0.
	if e.crc != 0 && z.checksum(e) != e.crc {
		return fault(shown(e.name), -1, "the checksum does not fit the data: the file is damaged")
	}
	return nil
}

// checksum is that of the entry's data.
func (z *archive) checksum(e *entry) uint32 {
	sum := uint32(0)
	parts.Windows(z.data[e.begin:e.end], z.release, func(data []byte) { sum = crc32.Update(sum, crc32.IEEETable, data) })
	return sum
}

// shown cuts a name for a message.
func shown(name string) string {
	if len(name) > 200 {
		return name[:200]
	}
	return name
}

// read is the data of an entry.
func (z *archive) read(name string) ([]byte, bool) {
	e, ok := z.entries[name]
	return z.data[e.begin:e.end:e.end], ok
}

// prefix finds the one entry "<prefix>/data.pkl", the pickle of an archive.
func (z *archive) prefix() (string, error) {
	found := ""
	for name := range z.entries {
		p, ok := strings.CutSuffix(name, "/data.pkl")
		if !ok || p == "" || strings.Contains(p, "/") {
			continue
		}
		if found != "" {
			return "", fault("", -1, "two pickles: %.100q and %.100q", min(found, p), max(found, p))
		}
		found = p
	}
	switch {
	case found == "":
		return "", fault("", -1, "a zip file without the entry data.pkl: not written by torch.save")
	case z.entries[found+"/constants.pkl"].name != "":
		return "", fault("", -1, "a TorchScript program, not weights; save the model's state_dict")
	}
	return found, nil
}

// parseZip reads a file of the zip format.
func parseZip(data []byte, release func([]byte)) (*File, error) {
	z, err := openArchive(data, release)
	if err != nil {
		return nil, err
	}
	prefix, err := z.prefix()
	if err != nil {
		return nil, err
	}
	if order, ok := z.read(prefix + "/byteorder"); ok && string(bytes.TrimSpace(order)) != "little" {
		return nil, fault(prefix+"/byteorder", 0, "%.20q; only little-endian files are read", order)
	}
	name := prefix + "/data.pkl"
	pickle, _ := z.read(name)
	m := newMachine(name, pickle, 0, len(data))
	top, err := m.run()
	if err != nil {
		return nil, err
	}
	if m.pos != len(pickle) {
		return nil, fault(name, m.pos, "%d bytes follow the pickle", len(pickle)-m.pos)
	}
	for _, key := range slices.Sorted(maps.Keys(m.storages)) {
		s := m.storages[key]
		record := prefix + "/data/" + key
		data, ok := z.read(record)
		if !ok {
			return nil, fault(name, s.at, "storage %q has no entry %s", key, record)
		}
		if len(data)/s.dtype.Size() != s.count {
			return nil, fault(record, -1, "%d bytes, but the storage has %d elements of %v", len(data), s.count, s.dtype)
		}
		s.data = data
	}
	return newFile(name, top)
}
