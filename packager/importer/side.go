package importer

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"skiff/formats/strictjson"
	"skiff/packager/graph"
)

// side is what a config.json beside an ONNX file says of it: what labels mean, and
// sizes, which must be those of the graph. The other keys are the graph's business.
type side struct {
	*config
	present bool
	sizes   map[string]declared // by their names in graph.Model
	notes   []string
}

// declared is a number and the key that says it.
type declared struct {
	key string
	n   int
}

// readSide reads config.json of the folder's part sub, which may be absent.
func readSide(f *folder, sub string) (*side, error) {
	name := path.Join(sub, configName)
	s := &side{config: &config{file: name}, sizes: make(map[string]declared)}
	data, err := f.read(name, maxConfig)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return nil, err
	}
	s.present = true
	return s, object(name, data, func(in *strictjson.Scanner) error {
		return in.Object(func(key string) error { return s.member(in, key) })
	})
}

// member reads one key.
func (s *side) member(in *strictjson.Scanner, key string) (err error) {
	if null(in) {
		return in.Null()
	}
	switch key {
	case "architectures":
		return s.architectures(in)
	case "num_labels":
		return s.countLabels(in)
	case "id2label":
		return s.id2label(in)
	case "problem_type":
		return s.problemType(in)
	case "threshold", "thresholds":
		return s.thresholds.read(in, key)
	case "sentence_transformers":
		return in.Object(func(key string) error { return s.crossEncoder(in, key) })
	case "sbert_ce_default_activation_function":
		return s.crossEncoder(in, "activation_fn")
	case "model_type":
		s.modelType, err = in.String()
		return err
	case "hidden_size", "dim":
		return s.size(in, key, "hidden size")
	case "num_hidden_layers", "n_layers":
		return s.size(in, key, "layers")
	case "inner_group_num":
		return s.size(in, key, "inner layers")
	case "num_attention_heads", "n_heads":
		return s.size(in, key, "heads")
	case "vocab_size":
		return s.size(in, key, "words")
	}
	return in.Skip()
}

// size reads a number that the graph has too.
func (s *side) size(in *strictjson.Scanner, key, what string) error {
	off := in.Offset()
	n, err := in.Int()
	if err == nil && (n < 1 || int64(int(n)) != n) {
		return in.Errorf(off, "%d is no size", n)
	}
	s.sizes[what] = declared{key, int(n)}
	return err
}

// hint is the task that the files beside a graph tell; "" where they tell none.
func (s *side) hint(p *pipeline) string {
	if p.present {
		return graph.TaskEmbed
	}
	for suffix, task := range map[string]string{
		"ForSequenceClassification": graph.TaskClassify, "ForTokenClassification": graph.TaskTag, "ForQuestionAnswering": graph.TaskAnswer,
		"ForMaskedLM": graph.TaskFillMask, "ForPreTraining": graph.TaskFillMask, "Model": graph.TaskEncode,
	} {
		if strings.HasSuffix(s.architecture, suffix) {
			return task
		}
	}
	return ""
}

// agrees compares what config.json says with the model that was read from the graph
// called name, and gives the model what only config.json knows.
func (s *side) agrees(name string, p *pipeline, m *graph.Model) error {
	have := map[string]int{"hidden size": m.Hidden, "layers": m.Layers, "heads": m.Heads, "words": m.Vocab}
	if inner := s.sizes["inner layers"].n; inner > 0 && m.Layers%inner == 0 {
		have["layers"] /= inner // a layer of ALBERT's may be several one after another
	}
	for _, what := range []string{"hidden size", "layers", "heads", "words"} {
		if said, ok := s.sizes[what]; ok && have[what] != 0 && said.n != have[what] {
			return invalid(s.file, said.key, "config.json and graph do not belong together", "%d, but the graph of %s has %d", said.n, name, have[what])
		}
	}
	if hint := s.hint(p); !p.present && hint != "" && hint != m.Task && (hint != graph.TaskEncode || m.Task != graph.TaskEmbed) {
		s.notes = append(s.notes, fmt.Sprintf("%s names the class %s, but the graph is for %s", s.file, s.architecture, m.Task))
	}
	if m.Task == graph.TaskEmbed || m.Task == graph.TaskEncode {
		m.Head = nil
		return nil
	}
	s.head = head{task: m.Task, labels: m.Task == graph.TaskClassify || m.Task == graph.TaskTag}
	if err := s.checkGraphLabels(name, m.Dim()); err != nil {
		return err
	}
	if p.linear != nil {
		s.rankLinear = *p.linear
	}
	m.Head = &graph.Head{Task: m.Task, Labels: s.labels, Problem: s.problem, Thresholds: s.thresholds.values,
		RankSigmoid: m.Task == graph.TaskClassify && m.Dim() == 1 && !s.rankLinear}
	return nil
}

// checkGraphLabels compares the labels with the n columns of the graph's answer.
func (s *side) checkGraphLabels(name string, n int) error {
	if s.head.labels {
		key, said := "num_labels", s.numLabels
		if s.labels != nil {
			key, said = "id2label", len(s.labels)
		}
		if said != 0 && said != n {
			return invalid(s.file, key, "config.json and graph do not belong together", "%d labels, but the graph of %s has %d", said, name, n)
		}
		if said == 0 {
			s.notes = append(s.notes, fmt.Sprintf("no labels in a %s: they are called LABEL_0 and so on", s.file))
		}
		if s.numLabels == 0 {
			s.numLabels = n
		}
	}
	return s.checkLabels()
}

// info describes the model m that was read from a graph.
func (s *side) info(m *graph.Model) *ModelInfo {
	i := infoOf(m)
	i.Class = s.architecture
	return i
}

// infoOf describes a model by what it computes.
func infoOf(m *graph.Model) *ModelInfo {
	i := &ModelInfo{
		Arch: m.Arch, Task: m.Task, Layers: m.Layers, Hidden: m.Hidden, Heads: m.Heads, Inner: m.Inner, Vocab: m.Vocab,
		MaxPositions: m.MaxPositions, Types: m.Types, MaxTokens: m.MaxTokens,
	}
	// The number that somebody wrote, not the float32 next to it.
	i.Eps, _ = strconv.ParseFloat(strconv.FormatFloat(float64(m.Eps), 'g', -1, 32), 64)
	for _, op := range m.Ops {
		if l, ok := op.(*graph.Linear); ok && l.Act != 0 && i.Activation == "" {
			i.Activation = l.Act.String()
		}
	}
	if m.Head != nil {
		i.Labels = m.Head.Labels
	}
	i.outcome(m)
	return i
}
