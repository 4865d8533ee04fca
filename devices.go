package main

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"skiff/fleet/api"
	"skiff/fleet/registry"
)

func newDevices() *cobra.Command {
	return group("devices", "Look at the fleet's devices", newDevicesList())
}

func newDevicesList() *cobra.Command {
	var server string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list --server URL",
		Short: "List the devices: what they run, and when they were last heard of",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := api.NewClient(server)
			if err != nil {
				return usageError{err}
			}
			devices, err := client.Devices(cmd.Context())
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), devices)
			}
			return printDevices(plain{cmd.OutOrStdout()}, devices)
		},
	}
	serverFlag(cmd, &server)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON array")
	return required(cmd, "server")
}

func printDevices(w io.Writer, devices []registry.Device) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "ID\tSTATE\tACTIVE\tBUNDLE\tCHANNEL\tKERNELS\tLAST SEEN\tREASON")
	for _, d := range devices {
		state := d.State
		if !d.Online {
			state += " (offline)"
		}
		fmt.Fprintf(table, "%s\t%s\t%s %s\t%.12s\t%s\t%s\t%s\t%s\n",
			d.ID, state, d.Name, d.Version, d.Active, d.Channel, d.Kernels, d.LastSeen.Format(time.RFC3339), d.Reason)
	}
	return table.Flush()
}
