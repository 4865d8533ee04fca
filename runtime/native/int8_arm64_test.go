package native

import (
	"testing"

	"skiff/runtime/trial"
)

// TestLinears compares every set's tiles with the reference: rests of rows, columns and
// depth, outliers, zero points, extreme codes.
func TestLinears(t *testing.T) {
	for _, s := range tried(t) {
		r := trial.Random{State: 11}
		for i := range 400 {
			if err := tryLinear(s, &r, 20+i%100, i); err != nil {
				t.Fatalf("%s: case %d: %v", s.Name(), i, err)
			}
		}
	}
}
