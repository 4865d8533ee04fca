package engine

import (
	"context"
	"encoding/binary"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Tokens are numbered from 0 in each sequence; where padding has a place of its own, that
// is 0, it is not counted, and others are numbered from 1.
func TestPlaces(t *testing.T) {
	for pads, want := range map[uint32][]int32{
		0: {0, 1, 2, 3, 0, 1, 2, 0},
		6: {1, 0, 2, 0, 0, 0, 1, 1},
		1: {1, 2, 3, 4, 1, 2, 0, 0},
	} {
		p, _ := mean(t)
		p.Pads = pads
		m := start(t, p, Config{Kind: Go, Workers: 1})
		in := Input{IDs: []int32{1, 5, 2, 5, 5, 5, 0, 0}, Types: make([]int32, 8), Starts: []int32{0, 4, 4, 7, 8}}
		if _, err := m.Run(context.Background(), in, nil); err != nil {
			t.Fatal(err)
		}
		got := make([]int32, len(in.IDs))
		for i := range got {
			got[i] = int32(binary.LittleEndian.Uint32(m.Memory()[p.Positions+uint32(4*i):]))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("pads %d: %s", pads, diff)
		}
	}
}
