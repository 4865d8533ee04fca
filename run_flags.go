package main

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"skiff/runtime/infer"
	"skiff/runtime/task"
)

// asking is what a model may be asked beside its inputs; the fields of the local API's
// requests.
type asking struct {
	prompt      string
	aggregation string
	top         int     // answers, labels or words; 0: what is usual for the task
	threshold   float64 // below 0: the model's own
	finding     infer.Finding

	given []string // flags that the user set
}

// flagTasks says for which tasks each flag is.
func flagTasks() map[string][]string {
	find := []string{infer.TaskAnswer}
	return map[string][]string{
		"prompt": {infer.TaskEmbed}, "aggregation": {infer.TaskTag}, "threshold": {infer.TaskClassify},
		"top-k":          {infer.TaskClassify, infer.TaskAnswer, infer.TaskFillMask},
		"max-answer-len": find, "max-seq-len": find, "doc-stride": find, "impossible": find,
	}
}

// askingFlags adds the flags.
func askingFlags(cmd *cobra.Command, a *asking) {
	f := cmd.Flags()
	f.StringVar(&a.prompt, "prompt", "", "embed: `NAME` of the model's prompt to put before every text (default: the model's default prompt)")
	f.StringVar(&a.aggregation, "aggregation", task.AggregateSimple.String(), "tag: how tokens become entities: none, simple, first, average or max")
	f.IntVar(&a.top, "top-k", 0, "classify, answer, fill-mask: how many labels, answers or words (default: all, 1 and 5)")
	f.Float64Var(&a.threshold, "threshold", -1, "classify: the score from which a label holds (default: the model's own, if it has any)")
	f.IntVar(&a.finding.MaxAnswer, "max-answer-len", 0, "answer: tokens that an answer may have (default 15)")
	f.IntVar(&a.finding.Window, "max-seq-len", 0, "answer: tokens of question and text that are read at once (default 384, or what the model takes)")
	f.IntVar(&a.finding.Stride, "doc-stride", 0, "answer: tokens that two parts of a long text share (default 128, or half of what is read at once)")
	f.BoolVar(&a.finding.Impossible, "impossible", false, "answer: let there be no answer")
}

// check refuses what can never be asked, before a model is opened.
func (a *asking) check(cmd *cobra.Command) error {
	for _, name := range slices.Sorted(maps.Keys(flagTasks())) {
		if cmd.Flags().Changed(name) {
			a.given = append(a.given, name)
		}
	}
	if _, err := task.ParseAggregation(a.aggregation); err != nil {
		return usageError{fmt.Errorf("--aggregation: %w", err)}
	}
	for _, name := range []string{"top-k", "max-answer-len", "max-seq-len", "doc-stride"} {
		if n, err := cmd.Flags().GetInt(name); err != nil || n < 0 || n == 0 && slices.Contains(a.given, name) {
			return usageError{fmt.Errorf("--%s %d, want 1 or more", name, n)}
		}
	}
	if slices.Contains(a.given, "threshold") && !(a.threshold >= 0 && a.threshold <= 1) {
		return usageError{fmt.Errorf("--threshold %g, want 0 to 1", a.threshold)}
	}
	if slices.Contains(a.given, "prompt") && a.prompt == "" {
		return usageError{errors.New("--prompt names none")}
	}
	a.finding.Answers = a.top
	return nil
}

// suits refuses flags that are for another task than the model's; name is "" for a model
// that has hidden states only.
func (a *asking) suits(name string) error {
	for _, flag := range a.given {
		if tasks := flagTasks()[flag]; !slices.Contains(tasks, name) {
			return usageError{fmt.Errorf("--%s is for the task %s, and this model is for %s", flag, strings.Join(tasks, ", "), cmp.Or(name, "hidden states alone"))}
		}
	}
	return nil
}

// flagged names the flag in place of the field that an error is about.
func flagged(err error) error {
	if bad, ok := errors.AsType[*infer.InputError](err); ok && bad.Field == "stride" {
		return fmt.Errorf("--doc-stride: %w", bad.Err)
	}
	return err
}

// thresholds are the user's, or the model's own.
func (a *asking) thresholds(own []float64) []float64 {
	if a.threshold >= 0 {
		return []float64{a.threshold}
	}
	return own
}

// aggregate is the aggregation, which check has seen.
func (a *asking) aggregate() task.Aggregation {
	how, _ := task.ParseAggregation(a.aggregation)
	return how
}

// words is how many are offered for a mask.
func (a *asking) words() int {
	if a.top == 0 {
		return 5
	}
	return a.top
}
