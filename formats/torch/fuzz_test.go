package torch

import (
	"errors"
	"strings"
	"testing"
)

// accepted checks what must be true of a file that was accepted.
func accepted(t *testing.T, f *File, size int) {
	t.Helper()
	sum := 0
	for name, v := range viewsOf(t, f) {
		sum += len(v.Data)
		if q, ok := f.Quantised(name); ok && (len(q.Scales) != len(q.ZeroPoints) || q.Codes.Len() != v.Len()) {
			t.Errorf("tensor %q: %d scales, %d zero points, %d codes", name, len(q.Scales), len(q.ZeroPoints), q.Codes.Len())
		}
	}
	if most := 4 * (maxShare*size + shareBase); sum > most {
		t.Errorf("tensors of %d bytes in a file of %d", sum, size)
	}
}

// FuzzParse: no panic, and every tensor of what is accepted can be read.
func FuzzParse(f *testing.F) {
	pickle := pickled("x", vector("ByteStorage", "0", 16))
	f.Add(legacy(pickle, []string{"0"}, counted(16, sixteen)))
	f.Add(zipOf(true, file{"a/data.pkl", pickle}, file{"a/data/0", sixteen}))
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := Parse(data)
		if err == nil {
			accepted(t, file, len(data))
		} else if !errors.Is(err, ErrFormat) {
			t.Errorf("an error that is no ErrFormat: %v", err)
		}
	})
}

// FuzzPickle is FuzzParse behind the checksums of the archive: any pickle over
// three storages.
func FuzzPickle(f *testing.F) {
	f.Add([]byte(pickled("x", vector("ByteStorage", "0", 16))))
	f.Add([]byte(pickled("x", view(stored("HalfStorage", "0", 8), 0, nums(2, 4), nums(1, 2)))))
	f.Add([]byte(pickled("l._packed_params._packed_params", tuple(affine(tuple(name("torch", "per_channel_affine"),
		vector("DoubleStorage", "1", 2), vector("LongStorage", "2", 2), num(0))), none))))
	f.Add([]byte(pickled("l._packed_params._packed_params", tuple(affine(tuple(name("torch", "per_tensor_affine"), float(0.5), num(3))), none))))
	for pickle := range refusals() {
		if len(pickle) < 400 {
			f.Add([]byte(pickle))
		}
	}
	f.Fuzz(func(t *testing.T, pickle []byte) {
		data := saved(string(pickle), sixteen, strings.Repeat("\x00\x00\x00\x00\x00\x00\xf0\x3f", 2), strings.Repeat("\x00", 16))
		file, err := Parse(data)
		if err == nil {
			accepted(t, file, len(data))
		} else if !errors.Is(err, ErrFormat) {
			t.Errorf("an error that is no ErrFormat: %v", err)
		}
	})
}
