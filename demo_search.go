package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"text/tabwriter"

	"skiff/packager"
	"skiff/runtime/infer"
)

// What is searched, and for what.
var (
	demoSentences = []string{
		"The battery is charged through the port on the left side.",
		"Wipe the screen with a soft, dry cloth.",
		"The pump stops by itself when the tank is empty.",
		"Two engineers are repairing a wind turbine at sea.",
		"Call the emergency number if you smell gas.",
		"The train to the coast leaves every hour.",
		"She plays the violin in a small orchestra.",
		"Fresh bread is baked here every morning.",
		"The invoice can be paid within thirty days.",
		"Heavy snow has closed the mountain road.",
		"A dog is sleeping in front of the fire.",
		"Reset the device by holding the button for ten seconds.",
	}
	demoQuestions = []string{
		"How do I restart the machine?",
		"Where do I plug in the charger?",
		"A musician is performing.",
	}
)

// demoRequest is what the devices are asked: the path and the body that suit the task of
// the bundle.
func (d *demo) demoRequest() (path string, body any) {
	switch m := d.bundle.Manifest; m.Task {
	case infer.TaskClassify:
		return "/v1/classify", map[string]any{"input": demoSentences}
	case infer.TaskRank:
		return "/v1/rank", map[string]any{"query": demoQuestions[0], "documents": demoSentences}
	case infer.TaskTag:
		return "/v1/tag", map[string]any{"input": demoSentences}
	case infer.TaskAnswer:
		return "/v1/answer", map[string]any{"question": demoQuestions[0], "context": strings.Join(demoSentences, " ")}
	case infer.TaskFillMask:
		return "/v1/fill-mask", map[string]any{"input": "The " + m.Meta.MaskToken + " is empty."}
	}
	return "/v1/embeddings", map[string]any{"input": slices.Concat(demoSentences, demoQuestions), "encoding_format": "base64"}
}

// ask puts the demo's request to a device and returns its answer as it came.
func (d *demo) ask(ctx context.Context, v *demoDevice) ([]byte, error) {
	path, body := d.demoRequest()
	request, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	answer, err := v.call(ctx, http.MethodPost, path, request)
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", v.id, err)
	}
	return answer, nil
}

// search stops the broker and asks every device; the answers must be the same byte for
// byte and, for vectors, close to the float32 reference.
func (d *demo) search(ctx context.Context) error {
	d.title(6, "Stop the broker; ask each device, offline")
	d.server.StopBroker()
	answers := make([][]byte, len(d.devices))
	for i, v := range d.devices {
		var err error
		if answers[i], err = d.ask(ctx, v); err != nil {
			return err
		}
		if !bytes.Equal(answers[i], answers[0]) {
			return fmt.Errorf("%s and %s disagree:\n%s\n%s", d.devices[0].id, v.id, answers[0], answers[i])
		}
	}
	d.answers = answers[0]
	if d.bundle.Manifest.Task == infer.TaskEmbed {
		return d.compare(answers)
	}
	path, body := d.demoRequest()
	request, err := json.Marshal(body)
	if err != nil {
		return err
	}
	d.say("   POST %s %.200s ...\n   %.500s", path, request, d.answers)
	d.say("   equal byte for byte on %d devices", len(d.devices))
	return nil
}

// compare shows the vectors beside those of the float32 reference.
func (d *demo) compare(answers [][]byte) error {
	texts := slices.Concat(demoSentences, demoQuestions)
	all := make([][][]float32, len(answers))
	for i, answer := range answers {
		var err error
		if all[i], err = readVectors(answer); err != nil {
			return fmt.Errorf("read answer: %w", err)
		}
		if len(all[i]) != len(texts) {
			return fmt.Errorf("%d vectors for %d texts", len(all[i]), len(texts))
		}
	}
	reference, err := d.reference(texts)
	if err != nil {
		return err
	}
	lowest := 1.0
	for i := range texts {
		lowest = min(lowest, packager.Cosine(reference[i], all[0][i]))
	}
	d.table(all, reference)
	d.say("   %d vectors of %d values: equal bit for bit on %d devices; cosine to float32 at least %.5f", len(texts), len(all[0][0]), len(d.devices), lowest)
	return nil
}

// table prints the best sentence for each question and its score on every device.
func (d *demo) table(all [][][]float32, reference [][]float32) {
	w := tabwriter.NewWriter(d.out, 0, 0, 2, ' ', 0)
	fmt.Fprint(w, "   question\tbest of 12 sentences")
	for _, v := range d.devices {
		fmt.Fprintf(w, "\t%s", v.id)
	}
	fmt.Fprint(w, "\tfloat32\n")
	for q, question := range demoQuestions {
		at := len(demoSentences) + q
		best := 0
		for s := range demoSentences {
			if packager.Cosine(all[0][s], all[0][at]) > packager.Cosine(all[0][best], all[0][at]) {
				best = s
			}
		}
		fmt.Fprintf(w, "   %s\t%s", question, demoSentences[best])
		for i := range all {
			fmt.Fprintf(w, "\t%.6f", packager.Cosine(all[i][best], all[i][at]))
		}
		fmt.Fprintf(w, "\t%.6f\n", packager.Cosine(reference[best], reference[at]))
	}
	w.Flush()
}

// reference is the float32 answer of the model that was packed.
func (d *demo) reference(texts []string) ([][]float32, error) {
	reference := d.model.Reference()
	out := make([][]float32, len(texts))
	for i, text := range texts {
		var err error
		if out[i], err = reference.Embed(text); err != nil {
			return nil, err
		}
	}
	return out, nil
}
