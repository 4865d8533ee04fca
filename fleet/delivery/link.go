package delivery

import (
	"context"
	"errors"
	"fmt"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

var errOffline = errors.New("no connection to the broker")

const (
	keepAlive     = 30 * time.Second
	pingTimeout   = 10 * time.Second
	writeTimeout  = 10 * time.Second
	dialTimeout   = 5 * time.Second
	reconnectMost = time.Second // the client cannot be stopped while it waits for this
	refused       = 0x80        // in a SUBACK; the client's token reports no error for it
)

// link is one connection to the broker, renewed by the MQTT client when it breaks.
type link struct {
	client mqtt.Client
	url    string
}

// dial connects. receive gets every message, up is called at every connection, both on
// the client's goroutines; nil for a link that only publishes.
func dial(ctx context.Context, cfg Config, id string, receive mqtt.MessageHandler, up func()) (*link, error) {
	if receive == nil {
		// Without any handler the client would stop reading at the first message.
		receive = func(mqtt.Client, mqtt.Message) {}
	}
	opts := mqtt.NewClientOptions().AddBroker(cfg.URL).SetClientID(id).
		SetUsername(cfg.User).SetPassword(cfg.Password).
		SetProtocolVersion(4). // or each failed attempt is made again with 3.1
		SetCleanSession(true).SetOrderMatters(true).SetDefaultPublishHandler(receive).
		SetKeepAlive(keepAlive).SetPingTimeout(pingTimeout).SetWriteTimeout(writeTimeout).SetConnectTimeout(dialTimeout).
		SetAutoReconnect(true).SetMaxReconnectInterval(reconnectMost)
	if up != nil {
		opts.SetOnConnectHandler(func(mqtt.Client) { up() })
	}
	l := &link{client: mqtt.NewClient(opts), url: cfg.URL}
	if err := l.wait(ctx, l.client.Connect()); err != nil {
		l.close()
		return nil, fmt.Errorf("connect to %s: %w", cfg.URL, err)
	}
	return l, nil
}

// subscribe asks for filters at QoS 0.
func (l *link) subscribe(ctx context.Context, filters ...string) error {
	want := make(map[string]byte, len(filters))
	for _, f := range filters {
		want[f] = 0
	}
	token := l.client.SubscribeMultiple(want, nil)
	if err := l.wait(ctx, token); err != nil {
		return fmt.Errorf("subscribe at %s: %w", l.url, err)
	}
	for filter, code := range token.(*mqtt.SubscribeToken).Result() {
		if code == refused {
			return fmt.Errorf("subscribe at %s: broker refuses %s", l.url, filter)
		}
	}
	return nil
}

// publish sends at QoS 0 and returns when the payload is written to the socket, which
// says nothing about its delivery. After an error the payload may still be in use.
func (l *link) publish(ctx context.Context, topic string, retained bool, payload []byte) error {
	if !l.client.IsConnectionOpen() {
		return errOffline // the client would drop it and report success
	}
	if err := l.wait(ctx, l.client.Publish(topic, 0, retained, payload)); err != nil {
		return fmt.Errorf("publish %s: %w", topic, err)
	}
	return nil
}

// wait bounds a token: some never complete when the connection breaks.
func (l *link) wait(ctx context.Context, token mqtt.Token) error {
	timer := time.NewTimer(writeTimeout + dialTimeout)
	defer timer.Stop()
	select {
	case <-token.Done():
		return token.Error()
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return errors.New("broker does not answer")
	}
}

func (l *link) close() { l.client.Disconnect(0) }
