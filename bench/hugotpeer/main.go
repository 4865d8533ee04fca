// Command hugotpeer answers the benchmark with hugot's pure Go backend. A time is of texts
// in, vectors out, tokenisation included.
package main

import (
	"flag"
	"fmt"
	"os"

	"skiffbench/line"

	"github.com/knights-analytics/hugot"
	"github.com/knights-analytics/hugot/pipelines"
)

func main() {
	dir := flag.String("model", "", "`FOLDER` of model.onnx and tokenizer.json")
	flag.Parse()
	if err := run(*dir); err != nil {
		fmt.Fprintln(os.Stderr, "hugotpeer:", err)
		os.Exit(1)
	}
}

func run(dir string) error {
	session, err := hugot.NewGoSession()
	if err != nil {
		return err
	}
	defer session.Destroy()
	p, err := hugot.NewPipeline(session, hugot.FeatureExtractionConfig{
		ModelPath: dir, Name: "embed", OnnxFilename: "model.onnx",
		Options: []hugot.FeatureExtractionOption{pipelines.WithNormalization()},
	})
	if err != nil {
		return err
	}
	embed := func(texts []string) func() error {
		return func() error {
			_, err := p.RunPipeline(texts)
			return err
		}
	}
	return line.Serve(os.Stdin, os.Stdout, line.Answer{Kernels: "go float32"}, func(r line.Request) (line.Answer, error) {
		switch r.Op {
		case "embed":
			out, err := p.RunPipeline(r.Texts)
			if err != nil {
				return line.Answer{}, err
			}
			return line.Answer{Vectors: out.Embeddings}, nil
		case "time":
			return line.Time(r.Micros, embed(r.Texts))
		case "beside":
			return line.Beside(r.Micros, embed(r.Texts), embed(r.Second.Texts))
		}
		return line.Answer{}, fmt.Errorf("unknown request %q", r.Op)
	})
}
