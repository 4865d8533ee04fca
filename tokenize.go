package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"skiff/formats/bundle"
	"skiff/formats/tokenizer"
	"skiff/packager/builtin"
	"skiff/packager/importer"
)

// tokenized is what skiff tokenize --json prints for each input.
type tokenized struct {
	IDs         []int32  `json:"ids"`
	Tokens      []string `json:"tokens"`
	TypeIDs     []int32  `json:"type_ids"`
	Offsets     [][2]int `json:"offsets"` // code points
	SpecialMask []int32  `json:"special_mask"`
}

func newTokenize() *cobra.Command {
	var asJSON bool
	var trust string
	cmd := &cobra.Command{
		Use:   "tokenize MODEL|BUNDLE [TEXT...]",
		Short: "Show the tokens of each text",
		Long: `Show the tokens of each text, or of each line of standard input, in order.

A MODEL is a folder, an .onnx file, hf:owner/name[@revision] on a hub or builtin; of it only the tokenizer is
read, or pulled: tokenizer.json, or what older files make of it. A tokenizer.json by itself will do.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			tok, err := openTokenizer(cmd, args[0], trust)
			if err != nil {
				return err
			}
			texts := newInputs(args[1:], cmd.InOrStdin(), asJSON)
			return tokenize(cmd.Context(), tok, texts, plain{cmd.OutOrStdout()}, asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object per input")
	trustFlag(cmd, &trust)
	return cmd
}

func tokenize(ctx context.Context, tok *tokenizer.Tokenizer, texts *inputs, out io.Writer, asJSON bool) error {
	for {
		batch, err := texts.next(1)
		if err != nil || len(batch) == 0 {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		enc, err := tok.Encode(batch[0].Text, batch[0].Pair, true)
		if err != nil {
			return err
		}
		if asJSON {
			err = printJSON(out, tokenized{enc.IDs, enc.Tokens, enc.TypeIDs, enc.Offsets, enc.SpecialMask})
		} else {
			_, err = fmt.Fprintln(out, strings.Join(enc.Tokens, " "))
		}
		if err != nil {
			return err
		}
	}
}

// openTokenizer reads the tokenizer of a bundle, of a model's folder or ONNX file, or a
// tokenizer.json on its own: the weights beside it are not touched.
func openTokenizer(cmd *cobra.Command, arg, trust string) (*tokenizer.Tokenizer, error) {
	p := newProgress(cmd.ErrOrStderr())
	defer p.stop()
	text, err := tokenizerText(cmd.Context(), arg, trust, p)
	if err != nil {
		return nil, err
	}
	tok, err := tokenizer.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("read tokenizer of %s: %w", arg, err)
	}
	return tok, nil
}

func tokenizerText(ctx context.Context, arg, trust string, p *progress) ([]byte, error) {
	if arg == builtinName {
		return builtin.File(tokenizerFile)
	}
	isFile, err := isBundle(arg)
	if err != nil {
		return nil, err
	}
	if isFile {
		return bundledTokenizer(ctx, arg, trust)
	}
	if arg, _, err = pulled(ctx, arg, true, p); err != nil {
		return nil, err
	}
	if info, err := os.Stat(arg); err == nil && (info.IsDir() || importer.IsONNX(arg)) {
		return importer.TokenizerJSON(arg)
	}
	f, err := openRegular(arg)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxTokenizer+1))
	if err == nil && len(text) > maxTokenizer {
		err = fmt.Errorf("read %s: longer than %d bytes", arg, maxTokenizer)
	}
	return text, err
}

// maxTokenizer bounds a tokenizer.json, in bytes, as the importer does.
const maxTokenizer = 128 << 20

const tokenizerFile = "tokenizer.json"

func bundledTokenizer(ctx context.Context, path, trust string) ([]byte, error) {
	b, err := openBundle(path, trust)
	if err != nil {
		return nil, err
	}
	defer b.Close()
	all := b.Objects(bundle.KindTokenizer)
	if len(all) != 1 {
		return nil, fmt.Errorf("open %s: it has %d tokenizers, want 1", path, len(all))
	}
	return b.Read(ctx, all[0])
}
