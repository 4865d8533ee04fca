package importer

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"skiff/formats/safetensors"
	"skiff/formats/torch"
	"skiff/packager/graph"
)

// How PyTorch files are written for tests: as torch.save writes state dicts.
type pickleStyle struct {
	columns bool // matrices are stored by columns
	legacy  bool // the format before version 1.6
}

// pickler writes the pickle of a state dict and collects the storages it names.
type pickler struct {
	bytes.Buffer
	style    pickleStyle
	storages []string
}

func (p *pickler) text(s string) {
	p.WriteByte('X')
	p.Write(binary.LittleEndian.AppendUint32(nil, uint32(len(s))))
	p.WriteString(s)
}

func (p *pickler) number(n int) {
	p.WriteByte('J')
	p.Write(binary.LittleEndian.AppendUint32(nil, uint32(n)))
}

func (p *pickler) numbers(list ...int) {
	p.WriteByte('(')
	for _, n := range list {
		p.number(n)
	}
	p.WriteByte('t')
}

// storage writes the start of a tensor's arguments: its storage, offset, sizes, strides.
func (p *pickler) storage(class string, count int, w weight) {
	p.WriteByte('(')
	p.WriteByte('(')
	p.text("storage")
	p.WriteString("ctorch\n" + class + "\n")
	p.text(strconv.Itoa(len(p.storages)))
	data := w.data
	if p.style.columns && len(w.shape) == 2 {
		data = transposed(w)
	}
	p.storages = append(p.storages, data)
	p.text("cpu")
	p.number(count)
	if p.style.legacy {
		p.WriteByte('N')
	}
	p.WriteString("tQ")
	p.number(0)
	p.numbers(w.shape...)
	switch {
	case len(w.shape) == 1:
		p.numbers(1)
	case p.style.columns:
		p.numbers(1, w.shape[0])
	default:
		p.numbers(w.shape[1], 1)
	}
}

// transposed are the numbers of a float32 matrix by columns.
func transposed(w weight) string {
	var out []byte
	rows, cols := w.shape[0], w.shape[1]
	for c := range cols {
		for r := range rows {
			out = append(out, w.data[4*(r*cols+c):][:4]...)
		}
	}
	return string(out)
}

// hooks ends a tensor's arguments and calls the function before them.
func (p *pickler) hooks() { p.WriteString("\x89ccollections\nOrderedDict\n)RtR") }

func (p *pickler) tensor(w weight) {
	p.WriteString("ctorch._utils\n_rebuild_tensor_v2\n")
	p.storage("FloatStorage", len(w.data)/4, w)
	p.hooks()
}

// quantised is a matrix of codes with one scale and the zero point 0.
func (p *pickler) quantised(codes weight, scale float64) {
	p.WriteString("ctorch._utils\n_rebuild_qtensor\n")
	p.storage("QInt8Storage", len(codes.data), codes)
	p.WriteString("(ctorch\nper_tensor_affine\nG")
	p.Write(binary.BigEndian.AppendUint64(nil, math.Float64bits(scale)))
	p.number(0)
	p.WriteByte('t')
	p.hooks()
}

// pickled is the state dict of tensors, and its storages.
func pickled(tensors map[string]weight, style pickleStyle) (pickle []byte, storages []string) {
	p := &pickler{style: style}
	p.WriteString("\x80\x02}(")
	for _, name := range slices.Sorted(maps.Keys(tensors)) {
		p.text(name)
		p.tensor(tensors[name])
	}
	p.WriteString("u.")
	return p.Bytes(), p.storages
}

// dynamic is the state dict that quantize_dynamic makes of tensors, and what the numbers
// in it are: the matrices of linear layers are codes.
func dynamic(tensors map[string]weight) (pickle []byte, storages []string, rounded map[string]weight) {
	p := &pickler{}
	rounded = maps.Clone(tensors)
	p.WriteString("\x80\x02}(")
	for _, name := range slices.Sorted(maps.Keys(tensors)) {
		w := tensors[name]
		layer, part := name[:strings.LastIndexByte(name, '.')+1], name[strings.LastIndexByte(name, '.')+1:]
		matrix := tensors[layer+"weight"]
		_, biased := tensors[layer+"bias"]
		table := !biased && (strings.Contains(name, "embedding") || strings.Contains(name, "relative_attention_bias"))
		if len(matrix.shape) != 2 || table || part != "weight" && part != "bias" {
			p.text(name)
			p.tensor(w)
			continue
		}
		if part == "bias" {
			continue // goes with its weight
		}
		layer = layer[:len(layer)-1]
		codes, scale, back := codesOf(w)
		rounded[name] = back
		p.text(layer + "._packed_params._packed_params")
		p.WriteByte('(')
		p.quantised(codes, scale)
		if bias, ok := tensors[layer+".bias"]; ok {
			p.tensor(bias)
		} else {
			p.WriteByte('N')
		}
		p.WriteByte('t')
	}
	p.WriteString("u.")
	return p.Bytes(), p.storages, rounded
}

// codesOf rounds a matrix to codes with one scale; back is what they stand for.
func codesOf(w weight) (codes weight, scale float64, back weight) {
	x, top := make([]float32, len(w.data)/4), float32(0)
	for i := range x {
		x[i] = math.Float32frombits(binary.LittleEndian.Uint32([]byte(w.data[4*i : 4*i+4])))
		top = max(top, x[i], -x[i])
	}
	step := max(top, 1e-6) / 127
	var code, number []byte
	for _, v := range x {
		c := int8(math.Round(float64(v / step)))
		code = append(code, byte(c))
		number = binary.LittleEndian.AppendUint32(number, math.Float32bits(step*float32(c)))
	}
	return weight{"I8", w.shape, string(code)}, float64(step), weight{"F32", w.shape, string(number)}
}

// zipped is a file of torch.save.
func zipped(t *testing.T, pickle []byte, storages []string) []byte {
	t.Helper()
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	add := func(name string, data []byte) {
		w, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store})
		if err == nil {
			_, err = w.Write(data)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	add("archive/data.pkl", pickle)
	for i, data := range storages {
		add("archive/data/"+strconv.Itoa(i), []byte(data))
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// streamed is a file of torch.save before version 1.6, of float32 tensors.
func streamed(tensors map[string]weight) []byte {
	pickle, storages := pickled(tensors, pickleStyle{legacy: true})
	out := append([]byte("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.\x80\x02}."), pickle...)
	out = append(out, "\x80\x02]("...)
	for i := range storages {
		key := strconv.Itoa(i)
		out = append(binary.LittleEndian.AppendUint32(append(out, 'X'), uint32(len(key))), key...)
	}
	out = append(out, "e."...)
	for _, data := range storages {
		out = append(binary.LittleEndian.AppendUint64(out, uint64(len(data)/4)), data...)
	}
	return out
}

// TestQuantisedDecoder: a decoder that is stored as codes is not the word table, though the
// configuration ties them; of MobileBERT's, which is put together of two matrices, the
// codes are not kept, and Inspect says so.
func TestQuantisedDecoder(t *testing.T) {
	for _, c := range []headCase{
		{from: "bert-masked-lm", class: "BertForMaskedLM", add: shapes("cls.predictions.decoder", 750, 32)},
		{from: "mobilebert-sequence-classification", class: "MobileBertForMaskedLM", drop: []string{"classifier"}, add: with(transform(40), "cls.predictions.dense.weight", 16, 750)},
	} {
		files := c.folder(t).(fstest.MapFS)
		delete(files, safetensors.SingleName)
		codes, storages, rounded := dynamic(c.tensors(t, shared(t, "fixtures", c.from)))
		files[torch.SingleName] = &fstest.MapFile{Data: zipped(t, codes, storages)}
		m, err := OpenFS(t.Context(), files, "m")
		if err != nil {
			t.Fatal(err)
		}
		d, err := InspectFS(t.Context(), files, "m")
		if err != nil {
			t.Fatal(err)
		}
		w, notes := m.Ops[len(m.Ops)-1].(*graph.Linear).W, strings.Join(d.Notes, "\n")
		if c.class != "BertForMaskedLM" {
			if w.Int8 != nil || !strings.Contains(notes, "1 tensors are stored quantised and are read as float32: cls.predictions.dense.weight") {
				t.Errorf("%s: codes %v, notes %s", c.class, w.Int8, notes)
			}
			continue
		}
		if w.Int8 == nil || &w.Weight[0] == wordTable(m) || strings.Contains(notes, "read as float32") {
			t.Fatalf("the codes of the decoder are not kept: %s", notes)
		}
		sameNumbers(t, "decoder", w.Int8, w.Weight, w.In)
		want := []byte(rounded["cls.predictions.decoder.weight"].data)
		if got := math.Float32bits(w.Weight[5]); got != binary.LittleEndian.Uint32(want[20:]) {
			t.Errorf("element 5 is %v", w.Weight[5])
		}
	}
}
