package torch

import (
	"encoding/binary"
	"hash/crc32"
	"strings"
)

// Pickles are put together from strings of opcodes, each of which leaves one
// value on the stack.

func str(s string) string {
	return "X" + string(binary.LittleEndian.AppendUint32(nil, uint32(len(s)))) + s
}

func num(n int64) string {
	return "\x8a\x08" + string(binary.LittleEndian.AppendUint64(nil, uint64(n)))
}

func name(module, name string) string { return "c" + module + "\n" + name + "\n" }

func tuple(items ...string) string { return "(" + strings.Join(items, "") + "t" }

func nums(list ...int64) string {
	var items []string
	for _, n := range list {
		items = append(items, num(n))
	}
	return tuple(items...)
}

// call calls a function of torch._utils.
func call(function string, args ...string) string {
	return name("torch._utils", function) + tuple(args...) + "R"
}

const (
	no    = "\x89"
	yes   = "\x88"
	none  = "N"
	hooks = "ccollections\nOrderedDict\n)R"
)

// stored names the storage key of n elements.
func stored(class, key string, n int64) string {
	return tuple(str("storage"), name("torch", class), str(key), str("cpu"), num(n)) + "Q"
}

// view is a tensor in a storage.
func view(storage string, offset int64, sizes, strides string) string {
	return call("_rebuild_tensor_v2", storage, num(offset), sizes, strides, no, hooks)
}

// vector is a contiguous tensor of one dimension.
func vector(class, key string, n int64) string {
	return view(stored(class, key, n), 0, nums(n), nums(1))
}

// pickled is a pickle of a dictionary of names and values in turn.
func pickled(items ...string) string {
	body := []string{"\x80\x02}("}
	for i := 0; i < len(items); i += 2 {
		body = append(body, str(items[i]), items[i+1])
	}
	return strings.Join(append(body, "u."), "")
}

// file is an entry of an archive.
type file struct{ name, data string }

// zipOf is an archive, with all sizes in 64 bits where wide.
func zipOf(wide bool, files ...file) []byte {
	le := binary.LittleEndian
	var out, dir []byte
	for _, f := range files {
		start := len(out)
		head := func(b []byte) []byte {
			b = append(b, 20, 0, 0, 0, 0, 0, 0, 0, 0, 0)
			return le.AppendUint32(b, crc32.ChecksumIEEE([]byte(f.data)))
		}
		out = head(append(out, localMagic...))
		out = le.AppendUint32(le.AppendUint32(out, uint32(len(f.data))), uint32(len(f.data)))
		out = le.AppendUint16(le.AppendUint16(out, uint16(len(f.name))), 3)
		out = append(append(append(out, f.name...), "pad"...), f.data...)
		size, at, extra := uint32(len(f.data)), uint32(start), []byte{}
		if wide {
			extra = le.AppendUint16(le.AppendUint16(nil, 1), 24)
			for _, n := range []int{len(f.data), len(f.data), start} {
				extra = le.AppendUint64(extra, uint64(n))
			}
			size, at = 1<<32-1, 1<<32-1
		}
		dir = head(append(append(dir, centralMagic...), 20, 0))
		dir = le.AppendUint32(le.AppendUint32(dir, size), size)
		dir = le.AppendUint16(le.AppendUint16(dir, uint16(len(f.name))), uint16(len(extra)))
		dir = append(dir, make([]byte, 10)...)
		dir = append(append(le.AppendUint32(dir, at), f.name...), extra...)
	}
	begin := len(out)
	out = append(out, dir...)
	count, size, at := uint16(len(files)), uint32(len(dir)), uint32(begin)
	if wide {
		record := len(out)
		out = le.AppendUint64(append(out, end64Magic...), end64Size-12)
		out = append(out, make([]byte, 12)...)
		for _, n := range []int{len(files), len(files), len(dir), begin} {
			out = le.AppendUint64(out, uint64(n))
		}
		out = le.AppendUint64(append(append(out, locatorMagic...), 0, 0, 0, 0), uint64(record))
		out = append(out, 1, 0, 0, 0)
		count, size, at = 1<<16-1, 1<<32-1, 1<<32-1
	}
	out = append(append(out, endMagic...), 0, 0, 0, 0)
	out = le.AppendUint16(le.AppendUint16(out, count), count)
	return append(le.AppendUint32(le.AppendUint32(out, size), at), 0, 0)
}

// saved is a zip file of a pickle and of storages, called 0, 1 and so on.
func saved(pickle string, storages ...string) []byte {
	files := []file{{"a/data.pkl", pickle}, {"a/byteorder", "little"}}
	for i, s := range storages {
		files = append(files, file{"a/data/" + string(rune('0'+i)), s})
	}
	return zipOf(false, files...)
}

// legacy is a file of the stream format. The pickle's persistent ids have no
// view; storages are named 0, 1 and so on and have counts elements.
func legacy(pickle string, keys []string, storages ...string) []byte {
	list := "\x80\x02]("
	for _, k := range keys {
		list += str(k)
	}
	out := "\x80\x02\x8a\x0a" + legacyMagic + "." + "\x80\x02M\xe9\x03." + pickled("little_endian", yes) + pickle + list + "e."
	return []byte(out + strings.Join(storages, ""))
}

// counted is a storage of a legacy file.
func counted(n uint64, data string) string {
	return string(binary.LittleEndian.AppendUint64(nil, n)) + data
}
