package compile

import (
	"sort"

	"skiff/runtime/program"
)

// buffer is one activation or input: rows of stride bytes that live from stage first to
// stage last.
type buffer struct {
	bytes       uint32
	stride      uint32
	first, last int
	offset      uint32 // set by place
}

func (b *buffer) use(stage int) {
	b.first, b.last = min(b.first, stage), max(b.last, stage)
}

// arena holds the buffers until their lifetimes are known.
type arena struct {
	buffers []*buffer
	stageOf []int // stage of each step
}

// rows adds a buffer of float32 rows of cols columns.
func (a *arena) rows(rows, cols int) *buffer {
	stride := 4 * program.Pad16(uint32(cols))
	return a.add(uint32(rows)*stride, stride)
}

// words adds a buffer of 32-bit values.
func (a *arena) words(n int) *buffer { return a.add(4*uint32(n), 4) }

func (a *arena) add(bytes, stride uint32) *buffer {
	const never = 1 << 30
	b := &buffer{bytes: (bytes + program.Align - 1) &^ (program.Align - 1), stride: stride, first: never, last: -1}
	a.buffers = append(a.buffers, b)
	return b
}

// place gives each buffer the lowest offset from base at which no buffer that lives at
// the same time lies, the largest first, and returns the end. It is deterministic.
func (a *arena) place(base uint32) uint32 {
	order := append([]*buffer(nil), a.buffers...)
	sort.SliceStable(order, func(i, j int) bool { return order[i].bytes > order[j].bytes })
	end := base
	var placed []*buffer
	for _, b := range order {
		b.offset = lowest(base, b, placed)
		placed = append(placed, b)
		sort.SliceStable(placed, func(i, j int) bool { return placed[i].offset < placed[j].offset })
		end = max(end, b.offset+b.bytes)
	}
	return end
}

// lowest is the first gap from base that holds b among the placed, which are sorted.
func lowest(base uint32, b *buffer, placed []*buffer) uint32 {
	at := base
	for _, p := range placed {
		together := p.first <= b.last && b.first <= p.last
		if together && at+b.bytes > p.offset && at < p.offset+p.bytes {
			at = p.offset + p.bytes
		}
	}
	return at
}
