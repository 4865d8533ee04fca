package onnx

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"

	"skiff/formats/internal/parts"
)

// reader turns the bytes of one file into m and counts what it makes.
type reader struct {
	data   []byte
	open   opener
	m      *Model
	files  []parts.Part // of external data
	fileAt map[string]int
	names  map[string]string // one copy of each, and all that are taken
	known  map[opID]int64    // from which version on an operator exists
	funcs  map[funcID]*function

	nodes, edges, tensors, values, inlined int
	calls                                  int // of functions, to tell their names apart
}

func newReader(data []byte, open opener) *reader {
	return &reader{
		data: data, open: open, m: &Model{Opsets: make(map[string]int64), Metadata: make(map[string]string)},
		fileAt: make(map[string]int), names: make(map[string]string), known: operators(), funcs: make(map[funcID]*function),
	}
}

// spend counts n more of something that there may be max of.
func spend(count *int, n, max int, at int, what string) error {
	if *count += n; *count > max {
		return fault(at, "", "more than %d %s", max, what)
	}
	return nil
}

// model reads the whole file.
func (r *reader) model() (*Model, error) {
	if what := foreign(r.data); what != "" {
		return nil, fault(0, "", "%s", what)
	}
	var graph *span
	var funcs []span
	m := message{"ModelProto", []protowire.Number{1, 2, 3, 4, 5, 6, 7}}
	err := r.fields(m, span{0, len(r.data)}, func(f field) error { return r.member(m, f, &graph, &funcs) })
	if err != nil {
		return nil, err
	}
	if err := r.head(graph); err != nil {
		return nil, err
	}
	for _, s := range funcs {
		if err := r.function(s); err != nil {
			return nil, err
		}
	}
	if r.m.Graph, err = r.graph(*graph, r.m.Opsets, 0); err != nil {
		return nil, err
	}
	if err := r.writeOut(r.m.Graph); err != nil {
		return nil, err
	}
	if _, err := check(r.m.Graph, nil); err != nil {
		return nil, err
	}
	return r.m, nil
}

// member reads one field of the model; graph and functions are read when the
// operator sets are known.
func (r *reader) member(m message, f field, graph **span, funcs *[]span) (err error) {
	switch f.num {
	case 1:
		return r.int(m, f, &r.m.IRVersion)
	case 2, 3:
		var text string
		err = r.text(m, f, &text)
		r.m.Producer = strings.TrimSpace(r.m.Producer + " " + text)
		return err
	case 4, 6, 20, 26: // domain, documentation, training, configurations of devices
		return f.is(m, protowire.BytesType)
	case 5: // model_version
		return f.is(m, protowire.VarintType)
	case 7:
		*graph = &f.span
		return f.is(m, protowire.BytesType)
	case 8:
		return r.opset(m, f, r.m.Opsets)
	case 14:
		return r.metadata(m, f)
	case 25:
		if len(*funcs) == maxFuncs {
			return fault(f.at, "", "more than %d functions", maxFuncs)
		}
		*funcs = append(*funcs, f.span)
		return f.is(m, protowire.BytesType)
	}
	return r.unknown(m, f)
}

// head checks what the model says of itself.
func (r *reader) head(graph *span) error {
	switch v := r.m.IRVersion; {
	case v == 0:
		return fault(0, "", "no version of the format (ir_version): this is no ONNX file")
	case v < minIR || v > maxIR:
		return fault(0, "", "version %d of the format (ir_version), known are %d to %d", v, minIR, maxIR)
	case graph == nil:
		return fault(-1, "", "the model has no graph")
	}
	return checkOpset(0, r.m.Opsets)
}

// checkOpset compares the imported version of ai.onnx with what is known.
func checkOpset(at int, sets map[string]int64) error {
	if v, ok := sets[""]; ok && (v < minOpset || v > maxOpset) {
		return fault(at, "", "opset %d, known are %d to %d; export the model with opset 17", v, minOpset, maxOpset)
	}
	return nil
}

// opset reads an entry of opset_import into sets.
func (r *reader) opset(m message, f field, sets map[string]int64) error {
	if err := f.is(m, protowire.BytesType); err != nil {
		return err
	}
	var domain string
	var version int64
	m = message{"OperatorSetIdProto", []protowire.Number{1, 2}}
	err := r.fields(m, f.span, func(f field) error {
		switch f.num {
		case 1:
			return r.text(m, f, &domain)
		case 2:
			return r.int(m, f, &version)
		}
		return r.unknown(m, f)
	})
	if err != nil {
		return err
	}
	domain = domainOf(domain)
	if was, ok := sets[domain]; ok && was != version {
		return fault(f.at, "", "opset %d and opset %d of %s", was, version, domainName(domain))
	}
	if sets[domain] = version; len(sets) > maxOpsets {
		return fault(f.at, "", "more than %d operator sets", maxOpsets)
	}
	return nil
}

// domainOf gives the domain of ONNX itself its one name.
func domainOf(domain string) string {
	if domain == "ai.onnx" {
		return ""
	}
	return domain
}

// domainName is domain in messages.
func domainName(domain string) string {
	if domain == "" {
		return "ai.onnx"
	}
	return fmt.Sprintf("%q", domain)
}

// entry reads a pair of strings.
func (r *reader) entry(m message, f field) (key, value string, err error) {
	if err := f.is(m, protowire.BytesType); err != nil {
		return "", "", err
	}
	m = message{"StringStringEntryProto", []protowire.Number{1, 2}}
	err = r.fields(m, f.span, func(f field) error {
		switch f.num {
		case 1:
			return r.text(m, f, &key)
		case 2:
			value = strings.ToValidUTF8(string(r.data[f.at:f.end]), "\uFFFD")
			return f.is(m, protowire.BytesType)
		}
		return r.unknown(m, f)
	})
	return key, value, err
}

// metadata reads an entry of the model's.
func (r *reader) metadata(m message, f field) error {
	key, value, err := r.entry(m, f)
	if err != nil {
		return err
	}
	if r.m.Metadata[key] = value; len(r.m.Metadata) > maxMetadata {
		return fault(f.at, "", "more than %d entries of metadata", maxMetadata)
	}
	return nil
}
