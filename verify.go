package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"skiff/formats/bundle"
)

// verdict is what skiff verify --json prints; with an error, only what is known.
type verdict struct {
	OK      bool           `json:"ok"`
	Digest  *bundle.Digest `json:"digest,omitempty"`
	Name    string         `json:"name,omitempty"`
	Version string         `json:"version,omitempty"`
	Release uint64         `json:"release,omitempty"`
	Key     string         `json:"key,omitempty"` // id
	Chunks  int            `json:"chunks,omitempty"`
	Bytes   int64          `json:"bytes,omitempty"`
	Error   string         `json:"error,omitempty"`
}

func newVerify() *cobra.Command {
	var asJSON bool
	var trust string
	cmd := &cobra.Command{
		Use:   "verify BUNDLE",
		Short: "Check that every byte of a bundle is what was signed, and by whom",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			v, err := verify(cmd, args[0], trust)
			if asJSON {
				return errors.Join(err, printJSON(cmd.OutOrStdout(), v))
			}
			if err == nil {
				fmt.Fprintf(plain{cmd.OutOrStdout()}, "%s %s, release %d: %d bytes in %d chunks are what key %s signed\nbundle %s\n",
					v.Name, v.Version, v.Release, v.Bytes, v.Chunks, v.Key, v.Digest)
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	trustFlag(cmd, &trust)
	return cmd
}

// trustFlag adds --trust to a command that believes signatures.
func trustFlag(cmd *cobra.Command, trust *string) {
	cmd.Flags().StringVar(trust, "trust", "", "`FILE` of public keys to believe (default: the default key's public half)")
}

func verify(cmd *cobra.Command, path, trust string) (verdict, error) {
	b, err := openBundle(path, trust)
	if err != nil {
		return verdict{Error: err.Error()}, err
	}
	defer b.Close()
	digest := b.Digest()
	v := verdict{Digest: &digest, Name: b.Manifest.Name, Version: b.Manifest.Version, Release: b.Manifest.Release,
		Key: b.Key.String(), Chunks: len(b.Index), Bytes: b.Size()}
	if err := b.VerifyAll(cmd.Context()); err != nil {
		err = fmt.Errorf("verify %s: %w", path, err)
		v.Error = err.Error()
		return v, err
	}
	v.OK = true
	return v, nil
}
