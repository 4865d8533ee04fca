package importer

import (
	"context"
	"errors"
	"io/fs"
	"path"
	"strings"

	"skiff/formats/safetensors"
	"skiff/formats/strictjson"
	"skiff/packager/graph"
)

// dense is the config.json of a Dense module.
type dense struct {
	in, out int
	bias    bool
	act     graph.Activation
}

// readDense appends the Dense module in dir to the sentence vector.
func readDense(ctx context.Context, f *folder, dir, as string, m *graph.Model) error {
	d, err := readDenseConfig(f, path.Join(dir, configName))
	if err != nil {
		return err
	}
	w := &graph.LinearWeights{Name: as + ".linear", In: d.in, Out: d.out}
	err = moduleWeights(ctx, f, dir, "a Dense module has linear.weight and linear.bias", func(b *binder) {
		b.wantCodes(&w.Weight, &w.Int8, []string{"linear.weight"}, d.out, d.in)
		if d.bias {
			b.want(&w.Bias, []string{"linear.bias"}, d.out)
		}
	})
	m.Answer = m.Linear(m.Answer, w, d.act)
	return err
}

// readLayerNorm appends the LayerNorm module in dir to the sentence vector.
func readLayerNorm(ctx context.Context, f *folder, dir, as string, m *graph.Model) error {
	name := path.Join(dir, configName)
	data, err := f.read(name, maxConfig)
	if err != nil {
		return &Error{File: name, Err: err}
	}
	n := 0
	err = object(name, data, func(s *strictjson.Scanner) error {
		return s.Object(func(key string) (err error) {
			if key != "dimension" {
				return unknownKey(s, name, key)
			}
			n, err = features(s)
			return err
		})
	})
	if err != nil {
		return err
	}
	if cols := m.Values[m.Answer].Cols; n != cols {
		return invalid(name, "dimension", "", "%d, but the vector has %d columns", n, cols)
	}
	w := &graph.NormWeights{Name: as + ".norm", Kind: graph.LayerNorm, Eps: 1e-5}
	err = moduleWeights(ctx, f, dir, "a LayerNorm module has norm.weight and norm.bias", func(b *binder) {
		b.want(&w.Gain, []string{"norm.weight"}, n)
		b.want(&w.Bias, []string{"norm.bias"}, n)
	})
	m.Answer = m.Norm(m.Answer, 0, w)
	return err
}

// moduleWeights loads the weights of a module in dir that want asks for; any other is
// refused with the hint.
func moduleWeights(ctx context.Context, f *folder, dir, hint string, want func(b *binder)) error {
	file, err := f.weights(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return &Error{File: path.Join(dir, safetensors.SingleName), Problem: "no weights", Cure: "safetensors and PyTorch files are read", Err: fs.ErrNotExist}
	}
	if err != nil {
		return err
	}
	defer file.Close()
	b := newBinder(file, path.Join(dir, safetensors.SingleName))
	want(b)
	for name := range b.left {
		if b.err == nil {
			b.err = unsupported(b.fileName, name, hint, "an unexpected tensor")
		}
	}
	if b.err != nil {
		return b.err
	}
	if err := b.load(ctx); err != nil {
		return err
	}
	return noteFiles(ctx, f, dir, file)
}

// readDenseConfig checks the config.json of a Dense module.
func readDenseConfig(f *folder, name string) (*dense, error) {
	data, err := f.read(name, maxConfig)
	if err != nil {
		return nil, &Error{File: name, Err: err}
	}
	d := &dense{bias: true, act: graph.Tanh}
	err = object(name, data, func(s *strictjson.Scanner) error {
		return s.Object(func(key string) error { return d.member(s, name, key) })
	})
	if err == nil && (d.in == 0 || d.out == 0) {
		err = invalid(name, "", "", "in_features or out_features is missing")
	}
	return d, err
}

func (d *dense) member(s *strictjson.Scanner, file, key string) (err error) {
	switch key {
	case "in_features":
		d.in, err = features(s)
	case "out_features":
		d.out, err = features(s)
	case "bias":
		d.bias, err = s.Bool()
	case "activation_function":
		d.act, err = torchActivation(s, file, key)
	case "module_input_name", "module_output_name":
		err = exactly(s, file, key, "sentence_embedding")
	default:
		err = unknownKey(s, file, key)
	}
	return err
}

func features(s *strictjson.Scanner) (int, error) {
	off := s.Offset()
	n, err := s.Int()
	if err == nil && (n < 1 || n > maxWidth) {
		return 0, s.Errorf(off, "%d is outside 1 to %d", n, maxWidth)
	}
	return int(n), err
}

// torchActivation reads the class of an activation.
func torchActivation(s *strictjson.Scanner, file, key string) (graph.Activation, error) {
	class, err := s.String()
	if err != nil {
		return 0, err
	}
	if class == "torch.nn.modules.linear.Identity" {
		return 0, nil
	}
	if name, ok := strings.CutPrefix(class, "torch.nn.modules.activation."); ok {
		if act, ok := activationOf(strings.ToLower(name)); ok {
			return act, nil
		}
	}
	return 0, unsupported(file, key, "known are Identity, Tanh, ReLU, GELU, SiLU and Sigmoid", "unknown function %q", class)
}
