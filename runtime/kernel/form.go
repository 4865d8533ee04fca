package kernel

import (
	"fmt"
	"strings"
)

// Form is what a kernel's name says: the operation and its parameters. Those that the
// operation has no use for are zero.
type Form struct {
	Op       string        // the name's first word: "linear", "attention", ...
	Hidden   int           // H or, of a glu, F: columns of a row
	Eps      float32       // of a normalisation
	Tables   int           // of a lookup; inputs of a concat
	Heads    int           // A
	HeadSize int           // D
	Scale    float32       // of attention's scores
	Attend   AttendOptions // of attend
	Outliers int           // of a linear
	Act      Act           // of a linear, a glu or an activation
	Zeros    bool          // codes have zero points
	Pool     Pool          // of a pool
	Residual bool          // of a nonorm: it adds a row first
}

// Form is what the kernel's name says.
func (k *Kernel) Form() Form {
	f, _ := readForm(k.name)
	return f
}

// Place is the index among Args of the argument of a name; -1 for none.
func (k *Kernel) Place(name string) int {
	for i, a := range k.args {
		if a.Name == name {
			return i
		}
	}
	return -1
}

// readForm reads a name, loosely: a kernel made from the form has the canonical one.
func readForm(name string) (Form, error) {
	head, params, _ := strings.Cut(name, "/")
	f := Form{}
	f.Op, _, _ = strings.Cut(head, ".")
	p := paramReader{rest: params}
	switch f.Op {
	case "embed", "addnorm", "norm":
		f.Hidden, f.Eps = p.int("h"), p.float("eps")
	case "linear":
		f.Outliers, f.Act, f.Zeros = p.int("o"), parseAct(p.next()), p.flag("zero")
	case "attention", "attend":
		f.Heads, f.HeadSize, f.Scale = p.int("a"), p.int("d"), p.float("s")
		if f.Op == "attend" {
			f.Attend = p.attendOptions()
		}
	case "meanpool", "l2norm", "add", "trigram":
		f.Hidden = p.int("h")
	case "lookup":
		f.Tables, f.Hidden, f.Zeros = p.int("n"), p.int("h"), p.flag("zero")
	case "nonorm":
		f.Hidden, f.Residual = p.int("h"), p.flag("residual")
	case "glu":
		f.Hidden, f.Act = p.int("f"), parseAct(p.next())
	case "activation":
		f.Hidden, f.Act = p.int("h"), parseAct(p.next())
	case "pool", "poolafter":
		f.Pool, f.Hidden = parsePool(p.next()), p.int("h")
	case "concat":
		f.Tables, f.Hidden = p.int("n"), p.int("h")
	default:
		return Form{}, fmt.Errorf("op %.20q", f.Op)
	}
	if p.bad {
		return Form{}, fmt.Errorf("parameters %.50q", params)
	}
	return f, nil
}

// kernel makes the kernel of a form.
func (f Form) kernel() (*Kernel, error) {
	switch f.Op {
	case "embed":
		return NewEmbed(f.Hidden, f.Eps)
	case "linear":
		return newLinear(linearForm{outliers: f.Outliers, act: f.Act, zeros: f.Zeros})
	case "attention":
		return NewAttention(f.Heads, f.HeadSize, f.Scale)
	case "addnorm":
		return NewAddNorm(f.Hidden, f.Eps)
	case "meanpool":
		return NewMeanPool(f.Hidden)
	case "l2norm":
		return NewL2Norm(f.Hidden)
	case "attend":
		return NewAttend(f.Heads, f.HeadSize, f.Scale, f.Attend)
	case "lookup":
		return newLookup(f.Tables, f.Hidden, f.Zeros)
	case "norm":
		return NewNorm(f.Hidden, f.Eps)
	case "nonorm":
		return NewNoNorm(f.Hidden, f.Residual)
	case "add":
		return NewAdd(f.Hidden)
	case "glu":
		return NewGLU(f.Hidden, f.Act)
	case "activation":
		return NewActivation(f.Hidden, f.Act)
	case "trigram":
		return NewTrigram(f.Hidden)
	case "pool":
		return NewPool(f.Pool, f.Hidden)
	case "poolafter":
		return NewPoolAfter(f.Pool, f.Hidden)
	case "concat":
		return NewConcat(f.Tables, f.Hidden)
	}
	return nil, fmt.Errorf("op %.20q", f.Op)
}
