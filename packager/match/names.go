package match

import (
	"fmt"

	"skiff/packager/graph"
)

// namer gives the weights of a model their names: by where they stand in it.
type namer struct {
	m     *graph.Model
	taken map[string]bool
	role  map[graph.ID]string // of layers that an attention reads, or that read one
	// of the layers and norms of a block that have no role, how many there are and
	// which of them is next
	layers, norms, layer, norm int
}

func name(m *graph.Model) {
	n := &namer{m: m, taken: map[string]bool{}, role: map[graph.ID]string{}}
	n.findRoles()
	block, start := -1, 0
	for i, op := range m.Ops {
		n.one(op, n.where(block))
		if block+1 < len(m.States) && op.Makes() == m.States[block+1] {
			block++
			start = i + 1
			n.count(start)
		}
	}
}

// where is the name of a block: the embeddings, a layer, or the head.
func (n *namer) where(block int) string {
	switch {
	case block < 0:
		return "embed"
	case block < len(n.m.States)-1:
		return fmt.Sprintf("blocks.%d", block)
	}
	return "head"
}

// findRoles notes what attentions read, and what reads them.
func (n *namer) findRoles() {
	attention := map[graph.ID]bool{}
	for _, op := range n.m.Ops {
		switch o := op.(type) {
		case *graph.Attention:
			attention[o.Out] = true
			n.role[o.V.X], n.role[o.K.X], n.role[o.Q.X] = "value", "key", "query"
			if o.Q.X == o.K.X && o.K.X == o.V.X {
				n.role[o.Q.X] = "qkv"
			}
		case *graph.Linear:
			if attention[o.X] {
				n.role[o.Out] = "out"
			}
		}
	}
}

// count counts the layers and norms of the block that starts at an operation.
func (n *namer) count(start int) {
	n.layers, n.norms, n.layer, n.norm = 0, 0, 0, 0
	for _, op := range n.m.Ops[start:] {
		switch o := op.(type) {
		case *graph.Linear:
			if n.role[o.Out] == "" {
				n.layers++
			}
		case *graph.Norm:
			n.norms++
		}
		for _, s := range n.m.States {
			if op.Makes() == s {
				return
			}
		}
	}
}

// one names the weights of an operation.
func (n *namer) one(op graph.Op, at string) {
	switch o := op.(type) {
	case *graph.Embed:
		for _, l := range o.Lookups {
			n.give(&l.Table.Name, "embed."+map[graph.Index]string{graph.ByID: "word", graph.ByType: "type", graph.ByPosition: "position"}[l.By])
		}
	case *graph.Linear:
		n.give(&o.W.Name, at+"."+n.linear(o, at))
	case *graph.Norm:
		n.give(&o.W.Name, at+"."+n.normName(at))
	case *graph.Attention:
		switch r := o.Relative.(type) {
		case *graph.Bias:
			n.give(&r.Table.Name, "relative.bias")
		case *graph.Disentangled:
			n.distances(r, at)
		}
	}
}

// distances names the weights of relative positions.
func (n *namer) distances(d *graph.Disentangled, at string) {
	n.give(&d.Table.Name, at+".relative")
	if d.Norm != nil {
		n.give(&d.Norm.Name, "relative.norm")
	}
	if d.Keys != nil {
		n.give(&d.Keys.Name, at+".relative_key")
	}
	if d.Queries != nil {
		n.give(&d.Queries.Name, at+".relative_query")
	}
}

// linear is a layer's name within its block.
func (n *namer) linear(o *graph.Linear, at string) string {
	if role := n.role[o.Out]; role != "" && at != "embed" && at != "head" {
		return role
	}
	n.layer++
	switch {
	case at == "embed":
		return "project"
	case at == "head" && o.Out == n.m.Answer:
		return "logits"
	case at == "head" && o.Out == n.m.Pooler:
		return "pooler"
	case at != "head" && n.layers == 2:
		return []string{"ffn_in", "ffn_out"}[(n.layer-1)%2]
	}
	return fmt.Sprintf("linear%d", n.layer-1)
}

// normName is the name of the next norm within its block.
func (n *namer) normName(at string) string {
	n.norm++
	switch {
	case at == "embed", at == "head":
		return "norm"
	case n.norms == 2:
		return []string{"attn_norm", "ffn_norm"}[(n.norm-1)%2]
	}
	return fmt.Sprintf("norm%d", n.norm-1)
}

// give names a weight that has no name yet.
func (n *namer) give(to *string, name string) {
	if *to != "" {
		return
	}
	free := name
	for i := 2; n.taken[free]; i++ {
		free = fmt.Sprintf("%s%d", name, i)
	}
	n.taken[free] = true
	*to = free
}
