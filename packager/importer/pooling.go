package importer

import (
	"cmp"
	"path"
	"strings"

	"skiff/formats/strictjson"
	"skiff/packager/graph"
)

// maxPoolings bounds the modes of one pooling.
const maxPoolings = 16

// poolingModes are the modes of a pooling as its file says them: flags in the classic
// layout, one name or a list of them since 5.x, which counts where both are there.
type poolingModes struct {
	named graph.Poolings
	flags map[graph.Pooling]bool // those that are on
}

// poolings puts the modes in their order, that of the list or sentence-transformers' own.
func (m *poolingModes) poolings() graph.Poolings {
	if m.named != nil {
		return m.named
	}
	var all graph.Poolings
	for _, how := range classicOrder() {
		if m.flags[how] {
			all = append(all, how)
		}
	}
	if all == nil {
		return graph.Poolings{graph.PoolMean}
	}
	return all
}

// classicOrder is how modes that are flags stand side by side.
func classicOrder() graph.Poolings {
	return graph.Poolings{graph.PoolCLS, graph.PoolMax, graph.PoolMean, graph.PoolMeanSqrt, graph.PoolWeighted, graph.PoolLast}
}

// readPooling reads the config.json of the pooling.
func (p *pipeline) readPooling(f *folder, dir string) error {
	p.poolFile = path.Join(dir, configName)
	data, err := f.read(p.poolFile, maxConfig)
	if err != nil {
		return &Error{File: p.poolFile, Err: err}
	}
	modes := poolingModes{flags: make(map[graph.Pooling]bool)}
	err = object(p.poolFile, data, func(s *strictjson.Scanner) error {
		return s.Object(func(key string) error { return p.poolingMember(s, key, &modes) })
	})
	p.pool = modes.poolings()
	return err
}

// poolingMember reads one key of it.
func (p *pipeline) poolingMember(s *strictjson.Scanner, key string, modes *poolingModes) error {
	switch key {
	case "word_embedding_dimension", "embedding_dimension":
		off := s.Offset()
		n, err := s.Int()
		if err == nil && (n < 1 || n > 1<<20) {
			return s.Errorf(off, "%d is no width", n)
		}
		p.width, p.widthKey = int(n), key
		return err
	case "pooling_mode":
		return p.modes(s, key, modes)
	case "include_prompt":
		var err error
		p.includePrompt, err = s.Bool()
		return err
	}
	mode, ok := strings.CutPrefix(key, "pooling_mode_")
	if !ok {
		return unknownKey(s, p.poolFile, key)
	}
	how, known := poolingOf(modeOf(mode))
	on, err := s.Bool()
	if err == nil && on && !known {
		return p.unknownMode(key, mode)
	}
	modes.flags[how] = on
	return err
}

// modes reads one mode or a list of them.
func (p *pipeline) modes(s *strictjson.Scanner, key string, modes *poolingModes) error {
	one := func(i int) error {
		off := s.Offset()
		mode, err := s.String()
		if err != nil {
			return err
		}
		if i == maxPoolings {
			return s.Errorf(off, "more than %d modes", maxPoolings)
		}
		how, ok := poolingOf(mode)
		if !ok {
			return p.unknownMode(key, mode)
		}
		modes.named = append(modes.named, how)
		return nil
	}
	off := s.Offset()
	kind, err := s.Kind()
	if err != nil || kind != strictjson.Array {
		return cmp.Or(err, one(0))
	}
	if err = s.Array(one); err == nil && len(modes.named) == 0 {
		return s.Errorf(off, "no mode")
	}
	return err
}

func (p *pipeline) unknownMode(key, mode string) error {
	return unsupported(p.poolFile, key, "known are cls, max, mean, mean_sqrt_len_tokens, weightedmean and lasttoken", "mode %q", mode)
}

// poolingOf is the pooling that sentence-transformers calls by a name.
func poolingOf(name string) (graph.Pooling, bool) {
	for _, how := range classicOrder() {
		if how.String() == name {
			return how, true
		}
	}
	return graph.PoolNone, false
}

// modeOf is the name that version 5 has for a flag of the classic layout.
func modeOf(flag string) string {
	switch flag {
	case "cls_token":
		return "cls"
	case "max_tokens":
		return "max"
	case "mean_tokens":
		return "mean"
	case "weightedmean_tokens":
		return "weightedmean"
	}
	return flag // lasttoken and mean_sqrt_len_tokens, or one that is not known
}
