// Command machinecode prints the machine code that wazero makes of kernels and counts what
// their loops cost.
//
//	go run ./runtime/engine/machinecode                what the loops of MiniLM's kernels cost
//	go run ./runtime/engine/machinecode NAME...        the same of these kernels: names as bundles have them
//	go run ./runtime/engine/machinecode -code NAME...  their code, too, loops marked
//
// A row is one loop that holds no other: its first byte; the instructions of a round, those
// of the code for faults left out; its products (multiplications of vectors, of matrix
// products and polynomials alike) and the instructions for each; loads and stores of the
// frame, which are spilled registers but where a parameter did not fit one; checks of
// bounds; other loads and stores. The code is that of the CPU the command is built for:
// GOARCH=arm64 with an emulator shows arm64's.
//
//	kernel -> emit.Module -> wazero's compiler -> file of its cache -> instructions -> loops
//
// It must not be imported; nothing of a serving process is here.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"

	"skiff/runtime/kernel"
)

func main() {
	code := flag.Bool("code", false, "print the code, too")
	flag.Parse()
	if err := run(context.Background(), os.Stdout, flag.Args(), *code); err != nil {
		fmt.Fprintln(os.Stderr, "machinecode:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, w io.Writer, names []string, code bool) error {
	kernels, err := chosen(names)
	if err != nil {
		return err
	}
	for _, k := range kernels {
		native, err := compile(ctx, k)
		if err != nil {
			return err
		}
		instructions, err := decode(native)
		if err != nil {
			return err
		}
		report(w, k, instructions, len(native), code)
	}
	return nil
}

// chosen is the kernels of these names, or MiniLM's.
func chosen(names []string) ([]*kernel.Kernel, error) {
	if len(names) == 0 {
		return miniLM()
	}
	var out []*kernel.Kernel
	for _, name := range names {
		k, err := kernel.Parse(name)
		if err != nil {
			return nil, err
		}
		out = append(out, k)
	}
	return out, nil
}

// miniLM is the kernels of that model.
func miniLM() ([]*kernel.Kernel, error) {
	var out []*kernel.Kernel
	for _, make := range []func() (*kernel.Kernel, error){
		func() (*kernel.Kernel, error) { return kernel.NewEmbed(384, 1e-12) },
		func() (*kernel.Kernel, error) { return kernel.NewLinear(1, kernel.ActNone) },
		func() (*kernel.Kernel, error) { return kernel.NewLinear(1, kernel.ActGELU) },
		func() (*kernel.Kernel, error) { return kernel.NewAttention(12, 32, 0.17677669) },
		func() (*kernel.Kernel, error) { return kernel.NewAddNorm(384, 1e-12) },
		func() (*kernel.Kernel, error) { return kernel.NewMeanPool(384) },
		func() (*kernel.Kernel, error) { return kernel.NewL2Norm(384) },
	} {
		k, err := make()
		if err != nil {
			return nil, err
		}
		out = append(out, k)
	}
	return out, nil
}

// report prints a kernel's loops, and its code when asked.
func report(w io.Writer, k *kernel.Kernel, code []instruction, bytes int, print bool) {
	fmt.Fprintf(w, "%s: %d bytes\n", k.Name(), bytes)
	loops := findLoops(code)
	if print {
		printCode(w, code, loops)
	}
	fmt.Fprintf(w, "  %6s %12s %8s %11s %11s %12s %6s %5s %6s\n", "loop", "instructions", "products", "per product", "frame loads", "frame stores", "checks", "loads", "stores")
	for _, l := range loops {
		per := "-"
		if l.products > 0 {
			per = fmt.Sprintf("%.2f", float64(l.instructions)/float64(l.products))
		}
		fmt.Fprintf(w, "  %6x %12d %8d %11s %11d %12d %6d %5d %6d\n", l.from, l.instructions, l.products, per, l.frameLoads, l.frameStores, l.checks, l.loads, l.stores)
	}
}

func printCode(w io.Writer, code []instruction, loops []loop) {
	for _, i := range code {
		mark := " "
		for _, l := range loops {
			if l.from <= i.at && i.at < l.to {
				mark = "|"
			}
		}
		fmt.Fprintf(w, "  %6x %s %s\n", i.at, mark, i.text)
	}
}
