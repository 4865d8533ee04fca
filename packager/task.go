package packager

import (
	"fmt"

	"skiff/formats/tokenizer"
	"skiff/packager/graph"
	"skiff/runtime/infer"
	answers "skiff/runtime/task"
)

// Task is what a model is for, as far as a manifest must say it.
type Task struct {
	Name       string           // as infer names tasks
	Labels     []string         // of the answer's columns, where they are labels
	Scores     answers.Function // what makes scores of logits; 0 where they are none
	Thresholds []float64        // scores from which a label holds, as bundle.Meta has them
	Mask       string           // the token for a word to be found; "" but for fill-mask
}

// TaskOf reads the task off a model. Errors wrap ErrTask.
func TaskOf(m *graph.Model, tok *tokenizer.Tokenizer) (Task, error) {
	if m.Head == nil && m.Task != graph.TaskEmbed && m.Task != graph.TaskEncode {
		return Task{}, fmt.Errorf("%w: %s is for %q and has no head", ErrTask, m.Name, m.Task)
	}
	switch m.Task {
	case graph.TaskEmbed:
		return Task{Name: infer.TaskEmbed}, nil
	case graph.TaskClassify:
		return classifier(m), nil
	case graph.TaskTag:
		return Task{Name: infer.TaskTag, Labels: labelsOf(m)}, nil
	case graph.TaskAnswer:
		return Task{Name: infer.TaskAnswer}, nil
	case graph.TaskFillMask:
		for _, mask := range []string{"[MASK]", "<mask>"} {
			if _, ok := tok.ID(mask); ok {
				return Task{Name: infer.TaskFillMask, Mask: mask}, nil
			}
		}
		return Task{}, fmt.Errorf("%w: %s fills masks, but its tokenizer has neither [MASK] nor <mask>", ErrTask, m.Name)
	case graph.TaskEncode:
		return Task{}, fmt.Errorf("%w: %s declares no pooling and no head: give it modules.json and 1_Pooling/config.json", ErrTask, m.Name)
	}
	return Task{}, fmt.Errorf("%w: %s is a model for %q", ErrTask, m.Name, m.Task)
}

// classifier tells a cross-encoder, which has one logit, from a classifier of labels.
func classifier(m *graph.Model) Task {
	if m.Dim() == 1 {
		scores := answers.None
		if m.Head.RankSigmoid {
			scores = answers.Sigmoid
		}
		return Task{Name: infer.TaskRank, Scores: scores}
	}
	t := Task{Name: infer.TaskClassify, Labels: labelsOf(m), Scores: answers.Softmax}
	switch m.Head.Problem {
	case graph.MultiLabel:
		t.Scores = answers.Sigmoid
		t.Thresholds = m.Head.Thresholds
	case graph.Regression:
		t.Scores = answers.None
	}
	return t
}

// labelsOf names every column of the answer, as transformers does where the model does not.
func labelsOf(m *graph.Model) []string {
	labels := make([]string, m.Dim())
	for i := range labels {
		labels[i] = fmt.Sprintf("LABEL_%d", i)
		if i < len(m.Head.Labels) {
			labels[i] = m.Head.Labels[i]
		}
	}
	return labels
}

// withMask adds a word to be found to a text that has none.
func (t Task) withMask(text string) string {
	if t.Mask == "" {
		return text
	}
	return t.Mask + " " + text
}

func (t Task) masked(texts []string) []string {
	out := make([]string, len(texts))
	for i, text := range texts {
		out[i] = t.withMask(text)
	}
	return out
}
