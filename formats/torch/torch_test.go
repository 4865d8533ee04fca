package torch

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"skiff/formats/tensor"
)

const sixteen = "0123456789abcdef"

// TestViewsOfStorages: what can be said about a storage of 16 bytes.
func TestViewsOfStorages(t *testing.T) {
	bytes16 := stored("ByteStorage", "0", 16)
	for _, c := range []struct {
		what, value string
		dtype       tensor.DType
		shape       []int
		data        string
	}{
		{"float", vector("FloatStorage", "0", 4), tensor.F32, []int{4}, sixteen},
		{"double", vector("DoubleStorage", "0", 2), tensor.F64, []int{2}, sixteen},
		{"half", vector("HalfStorage", "0", 8), tensor.F16, []int{8}, sixteen},
		{"bfloat16", vector("BFloat16Storage", "0", 8), tensor.BF16, []int{8}, sixteen},
		{"long", vector("LongStorage", "0", 2), tensor.I64, []int{2}, sixteen},
		{"int", vector("IntStorage", "0", 4), tensor.I32, []int{4}, sixteen},
		{"short", vector("ShortStorage", "0", 8), tensor.I16, []int{8}, sixteen},
		{"char", vector("CharStorage", "0", 16), tensor.I8, []int{16}, sixteen},
		{"bool", vector("BoolStorage", "0", 16), tensor.Bool, []int{16}, sixteen},
		{"part", view(bytes16, 3, nums(2, 3), nums(3, 1)), tensor.U8, []int{2, 3}, "345678"},
		{"rows apart", view(bytes16, 1, nums(2, 3), nums(8, 1)), tensor.U8, []int{2, 3}, "1239ab"},
		{"transposed", view(bytes16, 0, nums(4, 4), nums(1, 4)), tensor.U8, []int{4, 4}, "048c159d26ae37bf"},
		{"transposed halves", view(stored("HalfStorage", "0", 8), 0, nums(2, 4), nums(1, 2)), tensor.F16, []int{2, 4}, "0145" + "89cd" + "2367" + "abef"},
		{"three of halves", view(stored("HalfStorage", "0", 8), 0, nums(2, 2, 2), nums(1, 4, 2)), tensor.F16, []int{2, 2, 2}, "0145" + "89cd" + "2367" + "abef"},
		{"three", view(bytes16, 0, nums(2, 2, 2), nums(1, 8, 4)), tensor.U8, []int{2, 2, 2}, "048c159d"},
		{"expanded", view(bytes16, 2, nums(2, 3), nums(0, 1)), tensor.U8, []int{2, 3}, "234234"},
		{"one row", view(bytes16, 4, nums(1, 3), nums(99, 1)), tensor.U8, []int{1, 3}, "456"},
		{"scalar", view(bytes16, 7, nums(), nums()), tensor.U8, []int{}, "7"},
		{"empty", view(bytes16, 16, nums(3, 0), nums(5, 1)), tensor.U8, []int{3, 0}, ""},
		{"v1", call("_rebuild_tensor", bytes16, num(0), nums(2), nums(1)), tensor.U8, []int{2}, "01"},
		{"parameter", call("_rebuild_parameter", vector("IntStorage", "0", 4), yes, hooks), tensor.I32, []int{4}, sixteen},
		{"parameter with state", call("_rebuild_parameter_with_state", vector("IntStorage", "0", 4), yes, hooks, "}"), tensor.I32, []int{4}, sixteen},
		{"typed", name("torch._tensor", "_rebuild_from_type_v2") + tuple(name("torch._utils", "_rebuild_tensor_v2"), name("torch.nn.parameter", "Parameter"),
			tuple(bytes16, num(1), nums(2), nums(1), no, hooks), "}") + "R", tensor.U8, []int{2}, "12"},
		{"untyped", call("_rebuild_tensor_v3", tuple(str("storage"), name("torch.storage", "UntypedStorage"), str("0"), str("cpu"), num(16))+"Q",
			num(1), nums(3), nums(2), no, hooks, name("torch", "uint16")), tensor.U16, []int{3}, "2367ab"},
		{"size", view(bytes16, 0, name("torch", "Size")+tuple(nums(2))+"R", nums(1)), tensor.U8, []int{2}, "01"},
	} {
		f, err := Parse(saved(pickled("x", c.value), sixteen))
		if err != nil {
			t.Errorf("%s: %v", c.what, err)
			continue
		}
		v, _ := f.Tensor("x")
		if diff := cmp.Diff(tensor.View{Name: "x", DType: c.dtype, Shape: c.shape, Data: []byte(c.data)}, v); diff != "" {
			t.Errorf("%s: %s", c.what, diff)
		}
		comparePieces(t, f, v, 1, 2, 3, 5, 99)
	}
}

// TestBorrowed: a contiguous tensor is a part of the file, and no more of it.
func TestBorrowed(t *testing.T) {
	data := saved(pickled("x", view(stored("ByteStorage", "0", 16), 3, nums(4), nums(1))), sixteen)
	f, err := Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	v, _ := f.Tensor("x")
	at := strings.Index(string(data), sixteen) + 3
	if &v.Data[0] != &data[at] || cap(v.Data) != 4 {
		t.Errorf("capacity %d, a copy: %t", cap(v.Data), &v.Data[0] != &data[at])
	}
}

// TestStateDicts: where the tensors may be in a pickle.
func TestStateDicts(t *testing.T) {
	x := vector("IntStorage", "0", 4)
	memo := "\x80\x04\x95\x00\x00\x00\x00\x00\x00\x00\x00}\x94(\x8c\x01x\x94" + "\x8c\x0ctorch._utils\x94\x8c\x12_rebuild_tensor_v2\x94\x93\x94" +
		tuple(stored("IntStorage", "0", 4), "K\x00", "K\x04\x85", "K\x01\x85", no, hooks) + "R\x94u."
	for what, pickle := range map[string]string{
		"plain": pickled("x", x), "ordered": "\x80\x02" + hooks + str("x") + x + "s.", "one by one": "\x80\x02}" + str("x") + x + "s.",
		"ordered list": "\x80\x02ccollections\nOrderedDict\n(](]" + str("x") + "a" + x + "aetR.",
		"metadata":     "\x80\x02" + hooks + "(" + str("x") + x + "u}" + str("_metadata") + hooks + "sb.",
		"checkpoint":   pickled("epoch", num(3), "state_dict", "}("+str("x")+x+"u"),
		"model":        pickled("model", "}("+str("x")+x+"u", "lr", "G\x3f\xf0\x00\x00\x00\x00\x00\x00"),
		"protocol 4":   memo, "other entries": pickled("x", x, "n", num(1)), "memo": "\x80\x02}q\x00(X\x01\x00\x00\x00xq\x01" + x + "q\x02u.",
		"dup and pop": "\x80\x02}(" + str("x") + x + "(NN12" + "0u.",
	} {
		f, err := Parse(saved(pickle, sixteen))
		if err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		if v, _ := f.Tensor("x"); string(v.Data) != sixteen || len(f.Names()) != 1 {
			t.Errorf("%s: %v, %v", what, f.Names(), v)
		}
		if notes := f.Notes(); (what == "other entries") != (len(notes) == 1) {
			t.Errorf("%s: notes %q", what, notes)
		}
	}
}

// TestLegacy: storages may be viewed in this format.
func TestLegacy(t *testing.T) {
	id := func(view string) string {
		return tuple(str("storage"), name("torch", "ByteStorage"), str("0"), str("cpu"), num(16), view) + "Q"
	}
	pickle := pickled("whole", view(id(none), 0, nums(16), nums(1)), "part", view(id(tuple(str("1"), num(4), num(8))), 2, nums(3, 2), nums(1, 3)))
	f, err := Parse(legacy(pickle, []string{"0"}, counted(16, sixteen)))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"whole": sixteen, "part": "69" + "7a" + "8b"} {
		if v, _ := f.Tensor(name); string(v.Data) != want {
			t.Errorf("%s is %q, want %q", name, v.Data, want)
		}
	}
	x := pickled("x", vector("ByteStorage", "0", 16))
	for what, data := range map[string][]byte{
		"list of storages":     legacy(x, nil, counted(16, sixteen)),
		"no tensor uses":       legacy(x, []string{"1"}, counted(16, sixteen)),
		"pickle says 16":       legacy(x, []string{"0"}, counted(15, sixteen)),
		"15 bytes follow":      legacy(x, []string{"0"}, counted(16, sixteen[1:])),
		"follow the last":      legacy(x, []string{"0"}, counted(16, sixteen+"x")),
		"where storage":        legacy(x, []string{"0"}, "1234567"),
		"little_endian is":     []byte(strings.Replace(string(legacy(x, []string{"0"}, counted(16, sixteen))), yes+"u.", no+"u.", 1)),
		"version is not":       []byte(strings.Replace(string(legacy(x, []string{"0"}, counted(16, sixteen))), "\xe9\x03", "\xe8\x03", 1)),
		"magic number is":      []byte(strings.Replace(string(legacy(x, []string{"0"}, counted(16, sixteen))), "\x6c", "\x6d", 1)),
		"beyond storage":       legacy(pickled("x", view(id(tuple(str("1"), num(9), num(8))), 0, nums(1), nums(1))), []string{"0"}, counted(16, sixteen)),
		"reaches element 8 of": legacy(pickled("x", view(id(tuple(str("1"), num(4), num(8))), 0, nums(9), nums(1))), []string{"0"}, counted(16, sixteen)),
	} {
		if _, err := Parse(data); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), what) {
			t.Errorf("got %v, want %q", err, what)
		}
	}
}

// affine is a quantised tensor of 2 by 8 codes.
func affine(quantiser string) string {
	return call("_rebuild_qtensor", stored("QInt8Storage", "0", 16), num(0), nums(2, 8), nums(8, 1), quantiser, no, hooks)
}

func float(x float64) string {
	return "G" + string(binary.BigEndian.AppendUint64(nil, math.Float64bits(x)))
}

// TestPackedLinears: the parts of a quantised Linear under the names of a plain one.
func TestPackedLinears(t *testing.T) {
	one := tuple(name("torch", "per_tensor_affine"), float(0.5), num(-128))
	each := tuple(name("torch", "per_channel_affine"), vector("DoubleStorage", "1", 2), vector("LongStorage", "2", 2), num(0))
	scales := string(binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, math.Float64bits(0.5)), math.Float64bits(2)))
	zeros := "\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff"
	lists := tuple(name("torch", "per_channel_affine"), "]("+float(0.5)+float(2)+"e", "]("+num(0)+num(-1)+"e", num(0))
	bias := vector("IntStorage", "3", 4)
	buffers := []string{"l.scale", vector("FloatStorage", "4", 1), "l.zero_point", vector("LongStorage", "5", 1), "l._packed_params.dtype", name("torch", "qint8")}
	for what, c := range map[string]struct {
		items []string
		first float32
		names []string
	}{
		"per tensor":  {[]string{"l._packed_params._packed_params", tuple(affine(one), bias)}, 0.5 * ('0' + 128), []string{"l.bias", "l.weight"}},
		"per channel": {[]string{"l._packed_params._packed_params", tuple(affine(each), bias)}, 0.5 * '0', []string{"l.bias", "l.weight"}},
		"lists":       {[]string{"l._packed_params._packed_params", tuple(affine(lists), bias)}, 0.5 * '0', []string{"l.bias", "l.weight"}},
		"no bias":     {[]string{"l._packed_params._packed_params", tuple(affine(each), none)}, 0.5 * '0', []string{"l.weight"}},
		"older":       {[]string{"l._packed_params.weight", affine(each), "l._packed_params.bias", bias}, 0.5 * '0', []string{"l.bias", "l.weight"}},
	} {
		f, err := Parse(saved(pickled(append(c.items, buffers...)...), sixteen, scales, zeros, sixteen, "\x00\x00\x80\x3f", "\x00\x00\x00\x00\x00\x00\x00\x00"))
		if err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		v, _ := f.Tensor("l.weight")
		x, err := v.Float32s()
		if diff := cmp.Diff(c.names, f.Names()); diff != "" || err != nil || x[0] != c.first {
			t.Errorf("%s: first is %v, %v: %s", what, x, err, diff)
		}
		q, ok := f.Quantised("l.weight")
		if !ok || string(q.Codes.Data) != sixteen || len(q.Scales) != len(q.ZeroPoints) {
			t.Errorf("%s: %+v", what, q)
		}
		if q.Axis == 0 && x[15] != 2*('f'+1) {
			t.Errorf("%s: last is %v", what, x[15])
		}
		if _, ok := f.Quantised("l.bias"); ok {
			t.Errorf("%s: the bias is quantised", what)
		}
	}
	static := append([]string{"l._packed_params._packed_params", tuple(affine(one), none)}, buffers...)
	if _, err := Parse(saved(pickled(static...), sixteen, "", "", "", "\x00\x00\x00\x3f", "\x00\x00\x00\x00\x00\x00\x00\x00")); err == nil || !strings.Contains(err.Error(), "static") {
		t.Errorf("an output scale: got %v", err)
	}
}

// refusals are pickles with a storage of 16 bytes, with a part of the message.
func refusals() map[string]string {
	bytes16 := stored("ByteStorage", "0", 16)
	quant := func(scale float64, zero int64) string {
		return pickled("x", affine(tuple(name("torch", "per_tensor_affine"), float(scale), num(zero))))
	}
	channel := func(n, axis int64) string {
		return pickled("x", affine(tuple(name("torch", "per_channel_affine"), vector("FloatStorage", "2", n), vector("LongStorage", "1", n), num(axis))))
	}
	return map[string]string{
		"\x80\x02}.":                     "holds no tensors",
		"\x80\x02N.":                     "holds no state dict",
		"\x80\x02]" + "}" + "..":         "STOP with 2 values",
		"\x80\x02}.x":                    "follow the pickle",
		"\x80\x06}.":                     "protocol 6",
		"\x80\x02}":                      "without a STOP",
		"\x80\x02\xfe.":                  "opcode 0xfe",
		"I1\n.":                          "opcode 0x49",
		"\x80\x02}s.":                    "wants 2 values",
		"\x80\x02}(N0" + "0u.":           "wants 1 values",
		"\x80\x02(N.":                    "1 marks",
		"\x80\x02NNa.":                   "no list",
		"\x80\x02NNNs.":                  "no dictionary",
		"\x80\x02}(Nu.":                  "has no value",
		"\x80\x02N}b.":                   "no state dict",
		"\x80\x02}q\xff.":                "keeps memo 255",
		"\x80\x02h\x00.":                 "never kept",
		"\x80\x02}q\x01h\x00.":           "never kept",
		"\x80\x02X\x01\x00\x00\x00\xff.": "no UTF-8",
		"\x80\x02cposix\nsystem\n.":      `names "posix.system", which is not allowed`,
		"\x80\x02" + str("posix") + str("system") + "\x93.":                               `names "posix.system"`,
		"\x80\x02(S'x'\niposix\nsystem\n.":                                                "opcode 0x53",
		"\x80\x02(iposix\nsystem\n.":                                                      `names "posix.system"`,
		"\x80\x02c" + strings.Repeat("x", 200) + "\n":                                     "does not end",
		"\x80\x02c" + "x":                                                                 "does not end",
		"\x80\x02" + str(strings.Repeat("x", 300)) + str("y") + "\x93.":                   "not allowed",
		"\x80\x02NN\x93.":                                                                 "no string",
		"\x80\x02N)R.":                                                                    "calls what is no function",
		"\x80\x02ctorch\nqint8\n)R.":                                                      "calls torch.qint8",
		"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n)R.":                                  "with 0 arguments",
		"\x80\x02ctorch._utils\n_rebuild_parameter\n)R.":                                  "without a tensor",
		"\x80\x02NQ.":                                                                     "names no storage",
		pickled("x", stored("ByteStorage", "../0", 16)):                                   "no plain word",
		pickled("x", stored("ByteStorage", "0", -1)):                                      "impossible",
		pickled("x", stored("LongStorage", "0", 1<<61)):                                   "impossible",
		pickled("x", stored("Size", "0", 1)):                                              "no type of storage",
		pickled("x", tuple(bytes16, stored("CharStorage", "0", 16))):                      "before",
		pickled("x", vector("ByteStorage", "7", 16)):                                      "has no entry",
		pickled("x", vector("ByteStorage", "0", 17)):                                      "16 bytes, but the storage has 17",
		pickled("x", vector("ByteStorage", "0", 15)):                                      "16 bytes, but the storage has 15",
		pickled("x", view(bytes16, 17, nums(0), nums(1))):                                 "offset 17",
		pickled("x", view(bytes16, -1, nums(1), nums(1))):                                 "offset -1",
		pickled("x", view(bytes16, math.MaxInt64, nums(2), nums(1))):                      "offset",
		pickled("x", view(bytes16, 0, nums(-1), nums(1))):                                 "among the sizes",
		pickled("x", view(bytes16, 0, nums(2, 2), nums(-1, 1))):                           "among the strides",
		pickled("x", view(bytes16, 0, nums(2, 2), nums(1))):                               "2 sizes and 1 strides",
		pickled("x", view(bytes16, 0, nums(3, 3), nums(1<<60, 1))):                        "reaches element",
		pickled("x", view(bytes16, 0, nums(5, 5), nums(math.MaxInt64, 1))):                "overflows",
		pickled("x", view(bytes16, 0, nums(1<<40, 1<<40), nums(0, 0))):                    "too many elements",
		pickled("x", view(bytes16, 0, nums(1<<24), nums(0))):                              "too many for what the file stores",
		pickled("x", view(bytes16, 0, nums(make([]int64, 17)...), nums(0))):               "dimensions",
		pickled("x", view(stored("QInt8Storage", "0", 16), 0, nums(1), nums(1))):          "without their scale",
		pickled("x", vector("ByteStorage", "0", 16), "x", vector("ByteStorage", "0", 16)): "twice",
		pickled("x._packed_params._packed_params", tuple(none, none)):                     "weight of \"x._packed_params._packed_params\" is no tensor",
		pickled("x._packed_params._packed_params", none):                                  "no pair",
		quant(0, 0):          "scale 0",
		quant(-1, 0):         "scale -1",
		quant(1e-300, 0):     "scale 1e-300",
		quant(math.NaN(), 0): "scale NaN",
		quant(1e300, 0):      "scale 1e+300",
		quant(1, 128):        "zero point 128",
		channel(4, 0):        "for axis 0 of shape [2 8]",
		pickled("x", affine(tuple(name("torch", "per_channel_affine"), "]("+float(1)+num(1)+"e", "]("+num(0)+num(0)+"e", num(0)))): "of one kind",
		pickled("x", affine(tuple(name("torch", "per_channel_affine"), none, none, num(0)))):                                       "no numbers",
		channel(2, 2): "axis",
		pickled("x", affine(tuple(name("torch", "per_tensor_affine")))): "not known",
	}
}

func TestRefused(t *testing.T) {
	for pickle, want := range refusals() {
		if _, err := Parse(saved(pickle, sixteen)); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", pickle, err, want)
		}
	}
	deep, marks := "\x80\x02"+strings.Repeat("(", 1<<18), "\x80\x02"+strings.Repeat("N", 1<<18)
	nested := "\x80\x02" + strings.Repeat("]", 40) + strings.Repeat("a", 39) + "."
	for pickle, want := range map[string]string{deep: "marks", marks: "memory", nested: "nested"} {
		if _, err := Parse(saved(pickle)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.10q: got %v, want %q", pickle, err, want)
		}
	}
}

// TestZip: sizes in 64 bits, and archives that are wrong.
func TestZip(t *testing.T) {
	pickle, data := file{"a/data.pkl", pickled("x", vector("ByteStorage", "0", 16))}, file{"a/data/0", sixteen}
	if f, err := Parse(zipOf(true, pickle, data)); err != nil || len(f.Names()) != 1 {
		t.Errorf("64 bits: %v", err)
	}
	edit := func(old, new string, n int) []byte {
		return []byte(strings.Replace(string(zipOf(false, pickle, data)), old, new, n))
	}
	wide := string(zipOf(true, pickle, data))
	for want, data := range map[string][]byte{
		"there twice":            zipOf(false, pickle, data, data),
		"two pickles":            zipOf(false, pickle, data, file{"b/data.pkl", ""}),
		"without the entry":      zipOf(false, file{"data.pkl", ""}, file{"a/b/data.pkl", ""}),
		"TorchScript":            zipOf(false, pickle, data, file{"a/constants.pkl", ""}),
		"leaves the archive":     zipOf(false, pickle, data, file{"a/../b", ""}),
		"little-endian":          zipOf(false, pickle, data, file{"a/byteorder", "big"}),
		"checksum":               edit(sixteen, "x123456789abcdef", 1),
		"in front of its data":   edit("a/data/0", "a/data/1", 1),
		"where no entry is":      edit("PK\x03\x04\x14\x00\x00\x00\x00\x00\x00\x00\x00\x00"+string(binary.LittleEndian.AppendUint32(nil, 0x1)), "", 1),
		"cut off":                zipOf(false, pickle, data)[:100],
		"no record of the zip":   edit("PK\x01\x02", "PK\x01\x03", 1),
		"points to":              []byte(strings.Replace(wide, "PK\x06\x06", "PK\x06\x09", 1)),
		"entries":                []byte(strings.Replace(wide, "\x02\x00\x00\x00\x00\x00\x00\x00\x02\x00", "\x02\x00\x00\x00\x00\x00\x00\x00\x02\xff", 1)),
		"no 64-bit sizes":        []byte(strings.Replace(wide, "\x01\x00\x18\x00", "\x02\x00\x18\x00", 1)),
		"zip directory of":       []byte("PK\x03\x04" + endMagic + "\x00\x00\x00\x00\x01\x00\x01\x00\x00\x00\x00\x00\x04\x00\x00\x00\x00\x00"),
		"neither a zip file nor": []byte("hello"),
		"is empty":               {},
	} {
		if want == "where no entry is" {
			data = append([]byte("PK\x03\x04"), zipOf(false, pickle)...)
			want = "has to end at"
		}
		if _, err := Parse(data); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

// TestEveryPrefix: a file cut anywhere is refused, and so is any with a byte
// changed that a checksum covers; no other change makes it panic.
func TestEveryPrefix(t *testing.T) {
	pickle := pickled("x", vector("ByteStorage", "0", 16))
	for _, whole := range [][]byte{saved(pickle, sixteen), zipOf(true, file{"a/data.pkl", pickle}, file{"a/data/0", sixteen}),
		legacy(pickle, []string{"0"}, counted(16, sixteen))} {
		for n := range whole {
			if _, err := Parse(whole[:n]); !errors.Is(err, ErrFormat) {
				t.Errorf("the first %d of %d bytes: got %v", n, len(whole), err)
			}
			changed := []byte(string(whole))
			for bit := range 8 {
				changed[n] = whole[n] ^ 1<<bit
				if f, err := Parse(changed); err == nil {
					viewsOf(t, f)
				} else if !errors.Is(err, ErrFormat) {
					t.Errorf("byte %d, bit %d: %v", n, bit, err)
				}
			}
		}
	}
}

// TestMemory: what a file costs is a small multiple of its size, whatever it says.
func TestMemory(t *testing.T) {
	var many, views []string
	for i := range 1 << 12 {
		many = append(many, fmt.Sprint("layer.", i, ".weight"), vector("ByteStorage", "0", 16))
		views = append(views, fmt.Sprint(i), vector("ByteStorage", "0", 1<<16))
	}
	memo := ""
	for i := range 1 << 14 {
		memo += "Nr" + string(binary.LittleEndian.AppendUint32(nil, uint32(i))) + "0"
	}
	var files []file
	for i := range 1 << 14 {
		files = append(files, file{fmt.Sprint(i), ""})
	}
	for what, data := range map[string][]byte{
		"tensors": saved(pickled(many...), sixteen), "views": saved(pickled(views...), strings.Repeat("x", 1<<16)),
		"lists": saved("\x80\x02" + strings.Repeat("]0", 1<<18)), "dicts": saved("\x80\x02" + strings.Repeat("}0", 1<<18)),
		"memo": saved("\x80\x02" + memo), "memoize": saved("\x80\x04N" + strings.Repeat("\x94", 1<<18)),
		"tuples": saved("\x80\x02NNN" + strings.Repeat("\x87", 1<<18)), "append": saved("\x80\x02](" + strings.Repeat("N", 1<<15) + "e" + strings.Repeat("Na", 1<<15)),
		"stack": saved("\x80\x02" + strings.Repeat("]", 1<<18)), "marks": saved("\x80\x02" + strings.Repeat("(", 1<<18)),
		"calls": saved("\x80\x02" + strings.Repeat(hooks+"0", 1<<14)), "entries": zipOf(false, files...),
		"sizes": saved("\x80\x02" + nums(1, 1, 1, 1) + "q\x00" + strings.Repeat(view(stored("ByteStorage", "0", 16), 0, "h\x00", "h\x00")+"0", 1<<10)),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		f, err := Parse(data)
		runtime.ReadMemStats(&after)
		if got, most := int(after.TotalAlloc-before.TotalAlloc), 1<<16+40*len(data); got > most {
			t.Errorf("%s: %d bytes allocated for %d of input: %v", what, got, len(data), err)
		} else {
			t.Logf("%s: %.1f bytes allocated for each: %v", what, float64(got)/float64(len(data)), err)
		}
		if what == "tensors" && (err != nil || len(f.Names()) != 1<<12) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestFolders: one file, shards, and neither.
func TestFolders(t *testing.T) {
	shard := func(names ...string) *fstest.MapFile {
		var items []string
		for _, n := range names {
			items = append(items, n, vector("ByteStorage", "0", 16))
		}
		return &fstest.MapFile{Data: saved(pickled(items...), sixteen)}
	}
	index := func(weights string) *fstest.MapFile {
		return &fstest.MapFile{Data: []byte(`{"metadata":{"total_size":3},"weight_map":{` + weights + `}}`)}
	}
	good := `"a":"x.bin","b":"y.bin"`
	for what, c := range map[string]struct {
		files fstest.MapFS
		want  string
	}{
		"shards":         {fstest.MapFS{IndexName: index(good), "x.bin": shard("a"), "y.bin": shard("b")}, ""},
		"single":         {fstest.MapFS{SingleName: shard("a", "b"), IndexName: index(`"c":"nowhere.bin"`)}, ""},
		"nothing":        {fstest.MapFS{}, "neither"},
		"missing file":   {fstest.MapFS{IndexName: index(good), "x.bin": shard("a")}, `"y.bin", which is not in the folder`},
		"unknown tensor": {fstest.MapFS{IndexName: index(good), "x.bin": shard("a"), "y.bin": shard("b", "c")}, "does not name"},
		"missing tensor": {fstest.MapFS{IndexName: index(good + `,"c":"y.bin"`), "x.bin": shard("a"), "y.bin": shard("b")}, "does not hold it"},
		"escape":         {fstest.MapFS{IndexName: index(`"a":"../x.bin"`)}, "not a file of this folder"},
		"bad shard":      {fstest.MapFS{IndexName: index(good), "x.bin": shard("a"), "y.bin": {Data: []byte("PK")}}, "y.bin: byte 0"},
		"folder":         {fstest.MapFS{SingleName: {Mode: fs.ModeDir}}, "not a regular file"},
	} {
		f, err := OpenFS(c.files)
		switch {
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: got %v, want %q", what, err, c.want)
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", what, err)
		case c.want == "":
			if diff := cmp.Diff([]string{"a", "b"}, f.Names()); diff != "" {
				t.Errorf("%s: %s", what, diff)
			}
		}
	}
	if _, err := OpenFS(fstest.MapFS{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("nothing: got %v", err)
	}
}

func TestOpenMapsAndCloses(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, SingleName)
	if err := os.WriteFile(path, saved(pickled("x", vector("ByteStorage", "0", 16)), sixteen), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, open := range []func() (*File, error){func() (*File, error) { return Open(path) }, func() (*File, error) { return OpenFolder(dir) }} {
		f, err := open()
		if err != nil {
			t.Fatal(err)
		}
		if v, _ := f.Tensor("x"); string(v.Data) != sixteen {
			t.Errorf("x is %q", v.Data)
		}
		if _, ok := f.Tensor("y"); ok {
			t.Error("there is a tensor y")
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
}
