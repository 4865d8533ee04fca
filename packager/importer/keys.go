package importer

import (
	"slices"
	"strings"

	"skiff/formats/strictjson"
	"skiff/packager/graph"
)

// Bounds beyond any model of this kind: what is larger is a mistake or an attack.
const (
	maxWidth  = 1 << 17
	maxHidden = 1 << 14
	maxLayers = 1 << 9
	maxHeads  = 1 << 10
	maxVocab  = 1 << 22
	maxPlaces = 1 << 20
	maxTypes  = 1 << 10
)

// form is the type of a key's value.
type form uint8

const (
	integer  form = iota + 1 // low to high
	boolean                  // true or false
	real                     // above low, at most high
	function                 // the name of an activation
	word                     // one of words
	list                     // some of words: an array, or one string with bars between them
	own                      // what parse reads
)

// key is a key of config.json that an architecture depends on.
type key struct {
	name      string // in the file
	as        string // the name by which tables ask for it
	form      form
	low, high float64
	words     []string
	absent    any // its value where the file has none; nil: the file must have it
	null      any // its value where the file says null; nil: as if it had none
	parse     func(c *config, s *strictjson.Scanner) (any, error)
}

// size is a required integer from 1.
func size(name string, most int) key {
	return key{name: name, as: name, form: integer, low: 1, high: float64(most)}
}

// between is an integer with bounds.
func between(name string, low, high, absent int) key {
	return key{name: name, as: name, form: integer, low: float64(low), high: float64(high), absent: absent}
}

// flag is a switch.
func flagKey(name string, absent bool) key {
	return key{name: name, as: name, form: boolean, absent: absent}
}

// epsKey is the epsilon of layer norms.
func epsKey(name string, absent float64) key {
	return key{name: name, as: "layer_norm_eps", form: real, low: 1e-30, high: 1, absent: absent}
}

// thetaKey is the base of rotary angles.
func thetaKey(name string, absent float64) key {
	return key{name: name, as: name, form: real, low: 1, high: 1e12, absent: absent}
}

// actKey is an activation; as tells which, where a file names it otherwise.
func actKey(name, as string, absent any) key {
	return key{name: name, as: as, form: function, absent: absent}
}

// wordKey is a choice.
func wordKey(name, absent string, words ...string) key {
	return key{name: name, as: name, form: word, words: words, absent: absent}
}

// called gives a key the name that tables use.
func (k key) called(as string) key {
	k.as = as
	return k
}

// or makes a key optional.
func (k key) or(absent any) key {
	k.absent = absent
	return k
}

// orNull gives null a meaning of its own.
func (k key) orNull(value any) key {
	k.null = value
	return k
}

// encoderKeys are the keys that nearly all encoders share.
func encoderKeys() []key {
	return []key{
		size("hidden_size", maxHidden), size("intermediate_size", maxWidth), size("vocab_size", maxVocab),
		size("max_position_embeddings", maxPlaces), size("num_hidden_layers", maxLayers), size("num_attention_heads", maxHeads),
		actKey("hidden_act", "hidden_act", nil), epsKey("layer_norm_eps", 1e-12),
	}
}

// read reads the key's value in the type that its form has.
func (k *key) read(c *config, s *strictjson.Scanner) (any, error) {
	off := s.Offset()
	switch k.form {
	case integer:
		n, err := s.Int()
		if err == nil && (float64(n) < k.low || float64(n) > k.high) {
			return nil, s.Errorf(off, "%d is outside %.0f to %.0f", n, k.low, k.high)
		}
		return int(n), err
	case boolean:
		return s.Bool()
	case real:
		x, err := s.Float()
		if err == nil && !(x > k.low && x <= k.high) {
			return nil, s.Errorf(off, "%g is outside %g to %g", x, k.low, k.high)
		}
		return x, err
	case function:
		return c.activation(s, k.name)
	case list:
		return k.readList(c, s)
	case own:
		return k.parse(c, s)
	}
	text, err := s.String()
	if err == nil && !slices.Contains(k.words, text) {
		return nil, unsupported(c.file, k.name, "known: "+strings.Join(k.words, ", "), "unknown value %q", text)
	}
	return text, err
}

func (k *key) readList(c *config, s *strictjson.Scanner) (any, error) {
	var got []string
	kind, err := s.Kind()
	if err != nil {
		return nil, err
	}
	if kind == strictjson.String {
		text, err := s.String()
		if err != nil {
			return nil, err
		}
		got = strings.Split(strings.ToLower(text), "|")
	} else if err := s.Array(func(int) error {
		text, err := s.String()
		got = append(got, text)
		return err
	}); err != nil {
		return nil, err
	}
	for i := range got {
		got[i] = strings.TrimSpace(got[i])
		if !slices.Contains(k.words, got[i]) || slices.Contains(got[:i], got[i]) {
			return nil, unsupported(c.file, k.name, "known: "+strings.Join(k.words, ", "), "unknown value %q", got[i])
		}
	}
	return got, nil
}

// activation reads the name of an activation.
func (c *config) activation(s *strictjson.Scanner, key string) (graph.Activation, error) {
	name, err := s.String()
	if err != nil {
		return 0, err
	}
	act, ok := activationOf(name)
	if !ok {
		return 0, unsupported(c.file, key, "known are gelu, gelu_new, gelu_fast, relu, silu, tanh and sigmoid", "unknown activation %q", name)
	}
	return act, nil
}

// activationOf is the activation that transformers knows by a name. The variants
// of the tanh approximation differ in their last bits alone.
func activationOf(name string) (graph.Activation, bool) {
	switch name {
	case "gelu", "gelu_python":
		return graph.Gelu, true
	case "gelu_new", "gelu_fast", "gelu_pytorch_tanh", "gelu_accurate":
		return graph.GeluTanh, true
	case "relu":
		return graph.Relu, true
	case "silu", "swish":
		return graph.Silu, true
	case "tanh":
		return graph.Tanh, true
	case "sigmoid":
		return graph.Sigmoid, true
	}
	return 0, false
}

// num, on, number, act, text and marks are the values of keys of the
// architecture's table, by the names that the table gives them.
func (c *config) num(as string) int              { return c.values[as].(int) }
func (c *config) on(as string) bool              { return c.values[as].(bool) }
func (c *config) number(as string) float64       { return c.values[as].(float64) }
func (c *config) act(as string) graph.Activation { return c.values[as].(graph.Activation) }
func (c *config) text(as string) string          { return c.values[as].(string) }
func (c *config) marks(as string) []string       { return c.values[as].([]string) }

// has reports whether the architecture's table has a key of that name.
func (c *config) has(as string) bool {
	_, ok := c.values[as]
	return ok
}
