package emit

import "encoding/binary"

// Export is one exported function of a module.
type Export struct {
	Name   string
	Params int    // i32 parameters; there are no results
	Body   []byte // as Func.Body returns it
}

// MemoryName is what the module's memory is exported as.
const MemoryName = "memory"

// MaxPages is the largest memory, in pages of 64 KiB: the engine's compiler reads a
// memory's length as 32 bits.
const MaxPages = 65535

// Module is a module of functions over one memory of a fixed number of 64 KiB pages.
// It is deterministic. Names must be unique and differ from MemoryName; it checks
// nothing, the engine validates.
func Module(pages uint32, exports []Export) []byte {
	var order []int // distinct parameter counts
	types := map[int]int{}
	for _, e := range exports {
		if _, ok := types[e.Params]; !ok {
			types[e.Params] = len(order)
			order = append(order, e.Params)
		}
	}
	out := []byte{0, 'a', 's', 'm', 1, 0, 0, 0}
	out = appendSection(out, 1, len(order), func(s []byte, i int) []byte { return appendType(s, order[i]) })
	out = appendSection(out, 3, len(exports), func(s []byte, i int) []byte {
		return binary.AppendUvarint(s, uint64(types[exports[i].Params]))
	})
	out = appendSection(out, 5, 1, func(s []byte, _ int) []byte {
		s = binary.AppendUvarint(append(s, 1), uint64(pages))
		return binary.AppendUvarint(s, uint64(pages))
	})
	out = appendSection(out, 7, len(exports)+1, func(s []byte, i int) []byte {
		if i == len(exports) {
			return append(appendName(s, MemoryName), 2, 0)
		}
		return binary.AppendUvarint(append(appendName(s, exports[i].Name), 0), uint64(i))
	})
	return appendSection(out, 10, len(exports), func(s []byte, i int) []byte {
		s = binary.AppendUvarint(s, uint64(len(exports[i].Body)))
		return append(s, exports[i].Body...)
	})
}

// appendSection appends a section: id, length, count, items.
func appendSection(out []byte, id byte, count int, item func([]byte, int) []byte) []byte {
	section := binary.AppendUvarint(nil, uint64(count))
	for i := range count {
		section = item(section, i)
	}
	out = binary.AppendUvarint(append(out, id), uint64(len(section)))
	return append(out, section...)
}

func appendType(out []byte, params int) []byte {
	out = binary.AppendUvarint(append(out, 0x60), uint64(params))
	for range params {
		out = append(out, byte(typeI32))
	}
	return append(out, 0)
}

func appendName(out []byte, name string) []byte {
	return append(binary.AppendUvarint(out, uint64(len(name))), name...)
}
