package importer

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
)

// WriteText writes the description for people: one fact a line, then the
// tensors.
func (d *Description) WriteText(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	line := func(key, format string, args ...any) {
		fmt.Fprintf(t, "%s\t%s\n", key, fmt.Sprintf(format, args...)) // Flush reports what goes wrong
	}
	line("path", "%s", d.Path)
	line("kind", "%s", d.Kind)
	if d.Model != nil {
		d.Model.write(line)
	}
	if d.ONNX != nil {
		d.ONNX.write(line)
	}
	if d.Tokenizer != nil {
		line("tokenizer", "ids below %d", d.Tokenizer.Vocab)
	}
	if d.Weights != nil {
		d.Weights.write(line)
	}
	for _, f := range d.Files {
		line("file", "%s, %d bytes, sha256 %s", f.Name, f.Size, f.SHA256)
	}
	for _, n := range d.Notes {
		line("note", "%s", n)
	}
	if d.Weights != nil {
		for _, s := range d.Weights.Tensors {
			line("tensor", "%s %s %v", s.Name, s.DType, s.Shape)
		}
	}
	return t.Flush()
}

func (m *ModelInfo) write(line func(key, format string, args ...any)) {
	line("model", "%s, for %s", strings.TrimSpace(m.Arch+" "+m.Class), m.Task)
	line("size", "%d layers, hidden %d, %d heads, inner %d, vocabulary %d", m.Layers, m.Hidden, m.Heads, m.Inner, m.Vocab)
	line("activation", "%s, layer norm epsilon %g", m.Activation, m.Eps)
	if m.MaxTokens != 0 {
		line("tokens", "at most %d (%d positions)", m.MaxTokens, m.MaxPositions)
	}
	if m.Pooling != "" {
		line("pooling", "%s, normalised: %t", m.Pooling, m.Normalize)
	}
	if m.Prefix != "" {
		line("prefix", "%q", m.Prefix)
	}
	for _, name := range slices.Sorted(maps.Keys(m.Prompts)) {
		line("prompt", "%s: %q", name, m.Prompts[name])
	}
	if m.SkipPrompt {
		line("prompts", "left out by pooling")
	}
	if len(m.Labels) > 0 {
		line("labels", "%s", strings.Join(m.Labels, ", "))
	}
	if len(m.Thresholds) > 0 {
		line("thresholds", "%v", m.Thresholds)
	}
	if m.Source != "" {
		line("source", "sha256 %s", m.Source)
	}
}

func (o *ONNXInfo) write(line func(key, format string, args ...any)) {
	var sets, ops []string
	for _, domain := range slices.Sorted(maps.Keys(o.Opsets)) {
		sets = append(sets, fmt.Sprintf("%s %d", domain, o.Opsets[domain]))
	}
	for _, op := range slices.Sorted(maps.Keys(o.Operators)) {
		ops = append(ops, fmt.Sprintf("%s %d", op, o.Operators[op]))
	}
	line("graph", "version %d of the format by %q, operator sets %s", o.IR, o.Producer, strings.Join(sets, ", "))
	line("nodes", "%d: %s", o.Nodes, strings.Join(ops, ", "))
	for _, p := range o.Inputs {
		p.write("input", line)
	}
	for _, p := range o.Outputs {
		p.write("output", line)
	}
	for _, key := range slices.Sorted(maps.Keys(o.Metadata)) {
		line("metadata", "%s = %q", key, o.Metadata[key])
	}
}

func (p PortInfo) write(key string, line func(key, format string, args ...any)) {
	role := ""
	if p.Role != "" {
		role = ", as " + p.Role
	}
	line(key, "%s %s [%s]%s", p.Name, p.DType, strings.Join(p.Shape, " "), role)
}

func (w *WeightsInfo) write(line func(key, format string, args ...any)) {
	var types []string
	for _, name := range slices.Sorted(maps.Keys(w.DTypes)) {
		types = append(types, fmt.Sprintf("%d %s", w.DTypes[name], name))
	}
	line("weights", "%d values in %d tensors, %d bytes: %s", w.Parameters, len(w.Tensors), w.Bytes, strings.Join(types, ", "))
	for _, key := range slices.Sorted(maps.Keys(w.Metadata)) {
		line("metadata", "%s = %q", key, w.Metadata[key])
	}
}
