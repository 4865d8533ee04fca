package match

import (
	"fmt"
	"slices"

	"skiff/packager/graph"
)

// lookup is one row of a table for each token.
type lookup struct {
	table *matrix // seen as [rows][columns]
	by    graph.Index
	first int // the row of index 0
	pad   bool
	padID int32
	one   bool // the row first for every token
}

func (l *lookup) cols() int { return l.table.dims()[1] }

func (l *lookup) key() string {
	return fmt.Sprintf("%s,%d,%d,%v,%d,%v", l.table.key(), l.by, l.first, l.pad, l.padID, l.one)
}

// lookup is the lookup of rows that do not depend on the words; nil where they are
// neither one row nor a row a token in order.
func (r *rows) lookup() *lookup {
	l := &lookup{table: r.table, by: graph.ByPosition, first: int(r.index[0])}
	step := int64(1)
	if slices.Max(r.index) == slices.Min(r.index) {
		l.by, l.one, step = graph.ByType, true, 0
	}
	for i, v := range r.index {
		if v != r.index[0]+int64(i)*step {
			return nil
		}
	}
	return l
}

// scaled is l of a table of codes with their scale.
func (l *lookup) scaled(c *codes) (*lookup, error) {
	table, err := l.table.coded(c)
	if err != nil {
		return nil, err
	}
	s := *l
	s.table = table
	return &s, nil
}
