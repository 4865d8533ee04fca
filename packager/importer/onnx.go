package importer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"skiff/formats/onnx"
	"skiff/formats/safetensors"
	"skiff/formats/tensor"
	"skiff/formats/torch"
	"skiff/packager/graph"
	"skiff/packager/match"
)

// The names of ONNX files in a folder that may have many, and of the folder that
// exporters put them in.
const (
	onnxName   = "model.onnx"
	onnxFolder = "onnx"
	onnxExt    = ".onnx"
)

// IsONNX reports whether a path is that of an ONNX file by its name.
func IsONNX(path string) bool { return strings.EqualFold(filepath.Ext(path), onnxExt) }

// folderOf is where the files beside an ONNX file lie, such as its tokenizer: in its
// folder, or in the one above where that is the folder "onnx" of a model.
func folderOf(file string) string {
	dir := filepath.Dir(file)
	if abs, err := filepath.Abs(dir); err != nil || filepath.Base(abs) != onnxFolder {
		return dir
	}
	above := filepath.Join(dir, "..")
	for _, name := range []string{modulesName, configName, tokenizerName} {
		if _, err := os.Stat(filepath.Join(above, name)); err == nil {
			return above
		}
	}
	return dir
}

// fileFolder is the folder of the ONNX file at path, with that file as its weights. It
// is called like the file, or where that says nothing, like the folder.
func fileFolder(file string) (*folder, error) {
	dir, err := filepath.Abs(folderOf(file))
	if err != nil {
		return nil, err
	}
	abs, err := filepath.Abs(file)
	if err != nil {
		return nil, err
	}
	f, err := osFolder(dir)
	if err != nil {
		return nil, err
	}
	rel, err := filepath.Rel(dir, abs)
	if err != nil {
		return nil, err
	}
	f.exported = filepath.ToSlash(rel)
	if name := strings.TrimSuffix(filepath.Base(abs), filepath.Ext(abs)); !strings.HasPrefix(name, "model") {
		f.name = name
	}
	return f, nil
}

// findONNX is the ONNX file that stands for the weights of the folder's part sub: the
// one that was asked for or, where there are no other weights, the one that exporters
// name so, or the only one. It is "" where there is none.
func (f *folder) findONNX(sub string) (string, error) {
	if f.exported != "" {
		return f.exported, nil
	}
	for _, name := range []string{safetensors.SingleName, safetensors.IndexName, torch.SingleName, torch.IndexName} {
		if f.has(path.Join(sub, name)) {
			return "", nil
		}
	}
	for _, name := range []string{onnxName, path.Join(onnxFolder, onnxName)} {
		if name = path.Join(sub, name); f.has(name) {
			return name, nil
		}
	}
	var found []string
	for _, dir := range []string{path.Join(".", sub), path.Join(sub, onnxFolder)} {
		entries, err := fs.ReadDir(f.fsys, dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
		for _, e := range entries {
			if IsONNX(e.Name()) && !e.IsDir() && !strings.HasPrefix(e.Name(), ".") {
				found = append(found, path.Join(dir, e.Name()))
			}
		}
	}
	if len(found) > 1 {
		names := strings.Join(found[:min(len(found), 8)], ", ")
		return "", &Error{File: path.Join(sub, onnxName), Problem: fmt.Sprintf("no such file, but %d other ONNX files: %s", len(found), names), Cure: "give the one you want in place of the folder"}
	}
	return strings.Join(found, ""), nil
}

// has reports whether there is something called name.
func (f *folder) has(name string) bool {
	_, err := fs.Stat(f.fsys, name)
	return err == nil
}

// openONNX is openWith for the model whose weights are the ONNX file called name.
// What it computes is what the graph says; the files beside it tell what the numbers
// mean, and what is done with a text before and with its rows after.
func openONNX(ctx context.Context, f *folder, p *pipeline, name string, readTokenizer tokenizerReader) (*graph.Model, *contents, error) {
	side, err := readSide(f, p.sub)
	if err != nil {
		return nil, nil, err
	}
	file, err := f.onnx(name)
	if err != nil {
		return nil, nil, err
	}
	defer file.Close()
	m, report, err := match.Build(ctx, file, match.Hints{Name: f.name, Task: side.hint(p)})
	if err != nil {
		return nil, nil, graphError(ctx, name, err)
	}
	if err := side.agrees(name, p, m); err != nil {
		return nil, nil, err
	}
	m.Name = f.name
	c := &contents{info: side.info, onnx: describeONNX(file, report), tensors: constants(file), notes: slices.Concat(side.notes, report.Notes)}
	if err := p.around(ctx, f, name, m); err != nil {
		return nil, nil, err
	}
	if err := m.Check(); err != nil {
		return nil, nil, &Error{File: name, Problem: "the parts do not fit", Err: err}
	}
	if err := readTokenizer(f, p, m, c); err != nil {
		return nil, nil, err
	}
	if err := noteFiles(ctx, f, path.Dir(name), file); err != nil {
		return nil, nil, err
	}
	c.files = f.used
	m.Source, m.Notes = f.digest(), c.notes
	return m, c, nil
}

// graphError gives the error of a graph its file and what to do.
func graphError(ctx context.Context, name string, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return &Error{File: name, Problem: "the graph is not read as a model", Err: unread{err},
		Cure: "skiff inspect of the file tells what is in it; the weights as safetensors can be imported without the graph"}
}

// unread is why a graph is not read. It matches ErrUnsupported.
type unread struct{ error }

func (u unread) Unwrap() []error { return []error{ErrUnsupported, u.error} }

// constants lists the tensors of an ONNX file, sorted.
func constants(m *onnx.Model) []TensorInfo {
	list := make([]TensorInfo, 0, len(m.Graph.Consts))
	for _, name := range slices.Sorted(maps.Keys(m.Graph.Consts)) {
		v := m.Graph.Consts[name]
		list = append(list, TensorInfo{name, v.DType.String(), v.Shape, len(v.Data)})
	}
	return list
}

// around puts the pipeline around a model that was read from the graph called name. One
// that already makes a sentence vector is only given what it has not.
func (p *pipeline) around(ctx context.Context, f *folder, name string, m *graph.Model) error {
	if !p.present || m.Task != graph.TaskEmbed {
		return p.finish(ctx, f, m)
	}
	if err := p.fits(m); err != nil {
		return err
	}
	p.prompt(m)
	if got, want := m.Pooling().String(), p.pool.String(); got != want {
		return invalid(p.poolFile, "pooling_mode", modulesName+" belongs to another model", "%s, but the graph of %s pools by %s", want, name, got)
	}
	dense, normalised := behindPooling(m)
	layers := 0
	for _, mod := range p.after {
		if mod.kind == "Dense" {
			layers++
		}
	}
	if dense != layers && (dense != 0 || normalised) {
		return invalid(modulesName, "", modulesName+" belongs to another model", "%d Dense modules, but the graph of %s has %d", layers, name, dense)
	}
	for i, mod := range p.after {
		switch {
		case mod.kind == "LayerNorm" && (dense != 0 || normalised):
			return unsupported(modulesName, fmt.Sprintf("module %d", i+2), "", "a LayerNorm beside what the graph of %s already does with its vector", name)
		case mod.kind == "Normalize" && !normalised, mod.kind == "Dense" && dense == 0, mod.kind == "LayerNorm":
			if err := mod.append(ctx, f, i, m); err != nil {
				return err
			}
		}
	}
	return nil
}

// behindPooling counts the layers between the pooled vector and the answer, and tells
// whether it is normalised among them.
func behindPooling(m *graph.Model) (layers int, normalised bool) {
	maker := make(map[graph.ID]graph.Op)
	for _, op := range m.Ops {
		maker[op.Makes()] = op
	}
	for id := m.Answer; id != m.Pooled; {
		op, ok := maker[id]
		if !ok || len(op.Reads()) == 0 {
			break
		}
		switch op.(type) {
		case *graph.Linear:
			layers++
		case *graph.Normalize:
			normalised = true
		}
		id = op.Reads()[0]
	}
	return layers, normalised
}

// describeONNX tells what is in an ONNX file.
func describeONNX(m *onnx.Model, report match.Report) *ONNXInfo {
	roles := make(map[string]string)
	for _, list := range [][]match.Role{report.Inputs, report.Outputs} {
		for _, r := range list {
			roles[r.Name] = r.Role
		}
	}
	info := &ONNXInfo{IR: m.IRVersion, Producer: m.Producer, Opsets: make(map[string]int64), Nodes: len(m.Graph.Nodes), Operators: make(map[string]int), Metadata: m.Metadata}
	for domain, version := range m.Opsets {
		if domain == "" {
			domain = "ai.onnx"
		}
		info.Opsets[domain] = version
	}
	count(m.Graph, info.Operators)
	for _, v := range m.Graph.Inputs {
		info.Inputs = append(info.Inputs, portOf(v, roles))
	}
	for _, v := range m.Graph.Outputs {
		info.Outputs = append(info.Outputs, portOf(v, roles))
	}
	return info
}

// count adds up the operators of g and of the graphs within it.
func count(g *onnx.Graph, all map[string]int) {
	for _, n := range g.Nodes {
		op := n.Op
		if n.Domain != "" {
			op = n.Domain + "." + op
		}
		all[op]++
		for _, a := range n.Attrs {
			if a.G != nil {
				count(a.G, all)
			}
		}
	}
}

// portOf describes an input or output.
func portOf(v onnx.Value, roles map[string]string) PortInfo {
	p := PortInfo{Name: v.Name, Role: roles[v.Name], Shape: []string{}}
	if v.DType != 0 {
		p.DType = v.DType.String()
	}
	for _, d := range v.Shape {
		switch {
		case d.Size >= 0:
			p.Shape = append(p.Shape, fmt.Sprint(d.Size))
		case d.Name != "":
			p.Shape = append(p.Shape, d.Name)
		default:
			p.Shape = append(p.Shape, "?")
		}
	}
	return p
}

// noteConstants is noteOdd for the constants of m. Alone such values are what masks are
// made of.
func (d *Description) noteConstants(ctx context.Context, m *onnx.Model) error {
	x := make([]float32, piece)
	for _, name := range slices.Sorted(maps.Keys(m.Graph.Consts)) {
		if err := ctx.Err(); err != nil {
			return err
		}
		v := m.Graph.Consts[name]
		if v.Len() < 2 {
			continue
		}
		d.noteOdd(name, func(visit func(at int, x []float32) error) error {
			return tensor.Pieces(v.Len(), x, func(at int, x []float32) error { return v.Part(at, at+len(x)).Fill(x) }, visit)
		})
		m.Release(v.Data)
	}
	return nil
}

// inspectONNX describes an ONNX file on its own: always what is in it, and as what
// model it is read, or why it is none.
func inspectONNX(ctx context.Context, file string) (*Description, error) {
	m, err := onnx.Open(file)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	d := &Description{Path: file, Kind: KindONNX, Weights: summary(constants(m))}
	if err := d.noteConstants(ctx, m); err != nil {
		return nil, err
	}
	f := &folder{}
	if err := noteFiles(ctx, f, "", m); err != nil {
		return nil, err
	}
	d.Files = f.used
	found, report, err := match.Build(ctx, m, match.Hints{})
	d.ONNX = describeONNX(m, report)
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		d.Notes = append(d.Notes, "not read as a model: "+err.Error())
	default:
		d.Model = infoOf(found)
		d.Notes = append(d.Notes, report.Notes...)
	}
	return d, nil
}
