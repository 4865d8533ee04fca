package main

import (
	"context"
	"fmt"
	"slices"
	"text/tabwriter"

	"skiff/formats/tokenizer"
	"skiff/packager"
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

// search stops the broker and asks every device; the answers must have the same bits and
// be close to the float32 reference.
func (d *demo) search(ctx context.Context) error {
	d.title(6, "Stop the broker; search offline, on each device")
	d.server.StopBroker()
	texts := slices.Concat(demoSentences, demoQuestions)
	all := make([][][]float32, len(d.devices))
	for i, v := range d.devices {
		var err error
		if all[i], err = v.embed(ctx, texts); err != nil {
			return err
		}
		if err := sameBits(all[0], all[i]); err != nil {
			return fmt.Errorf("%s and %s disagree: %w", d.devices[0].id, v.id, err)
		}
	}
	d.answers = all[0]
	reference, err := d.reference(texts)
	if err != nil {
		return err
	}
	lowest := 1.0
	for i := range texts {
		lowest = min(lowest, packager.Cosine(reference[i], d.answers[i]))
	}
	d.table(all, reference)
	d.say("   %d vectors of %d values: equal bit for bit on %d devices; cosine to float32 at least %.5f", len(texts), len(d.answers[0]), len(all), lowest)
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
	tok, err := tokenizer.Parse(d.model.TokenizerJSON)
	if err != nil {
		return nil, err
	}
	reference := d.model.Reference()
	out := make([][]float32, len(texts))
	for i, text := range texts {
		ids := tok.AppendIDs(nil, d.model.Prefix+text, d.model.MaxTokens)
		if out[i], err = reference.EmbedIDs(ids, nil); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// sameBits compares vectors value by value.
func sameBits(a, b [][]float32) error {
	for i := range a {
		if !slices.Equal(a[i], b[i]) {
			return fmt.Errorf("vector %d differs", i)
		}
	}
	return nil
}
