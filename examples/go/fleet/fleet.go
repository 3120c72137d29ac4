// Package fleet is what the worker and the submitter share: the services, and calls that are repeated.
package fleet

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"math"
	mathrand "math/rand/v2"
	"os"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"
	"google.golang.org/grpc/status"
)

// Connect gives a channel to the pods of FLEET_Q_ADDRESS, "host:port" or several with commas.
func Connect() (*grpc.ClientConn, error) {
	text := os.Getenv("FLEET_Q_ADDRESS")
	if text == "" {
		text = "127.0.0.1:7411"
	}
	pods := manual.NewBuilderWithScheme("fleet")
	var addresses []resolver.Address
	for _, address := range strings.Split(text, ",") {
		addresses = append(addresses, resolver.Address{Addr: address})
	}
	pods.InitialState(resolver.State{Addresses: addresses})
	secure, err := transport()
	if err != nil {
		return nil, err
	}
	return grpc.NewClient("fleet:///", grpc.WithResolvers(pods),
		grpc.WithTransportCredentials(secure),
		grpc.WithDefaultServiceConfig(`{"loadBalancingConfig": [{"round_robin": {}}]}`),
		grpc.WithDisableRetry(), // it would know neither of RetryInfo nor of our deadline
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 30 * time.Second, PermitWithoutStream: true}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(math.MaxInt32)))
}

// TLS as it is given to every client of FLEET-Q, in the environment.
func transport() (credentials.TransportCredentials, error) {
	ca := os.Getenv("FLEET_Q_CA")
	if ca == "" {
		return insecure.NewCredentials(), nil
	}
	config := &tls.Config{ServerName: os.Getenv("FLEET_Q_SERVER_NAME")}
	if ca != "system" {
		trusted, err := os.ReadFile(ca)
		if err != nil {
			return nil, err
		}
		config.RootCAs = x509.NewCertPool()
		config.RootCAs.AppendCertsFromPEM(trusted)
	}
	if file := os.Getenv("FLEET_Q_CERTIFICATE"); file != "" {
		pair, err := tls.LoadX509KeyPair(file, os.Getenv("FLEET_Q_KEY"))
		if err != nil {
			return nil, err
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return credentials.NewTLS(config), nil
}

// Once makes one attempt that may take so long.
func Once[Q, A any](ctx context.Context, limit time.Duration,
	rpc func(context.Context, Q, ...grpc.CallOption) (A, error), request Q) (A, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if token := os.Getenv("FLEET_Q_TOKEN"); token != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
	}
	return rpc(ctx, request)
}

// Call repeats the same message until it is answered, refused for good, or ctx is over. That is
// harmless, for every message carries a request id or claim tokens.
func Call[Q, A any](ctx context.Context, limit time.Duration,
	rpc func(context.Context, Q, ...grpc.CallOption) (A, error), request Q) (A, error) {
	for pause := 50 * time.Millisecond; ; pause = min(time.Second, 2*pause) {
		answer, err := Once(ctx, limit, rpc, request)
		if err == nil || !passing(err) {
			return answer, err
		}
		wait := float64(max(pause, retryDelay(err))) * (1 + 0.3*mathrand.Float64())
		select {
		case <-time.After(time.Duration(wait)):
		case <-ctx.Done():
			return answer, err
		}
	}
}

func passing(err error) bool {
	switch status.Code(err) {
	case codes.Unavailable, codes.DeadlineExceeded, codes.ResourceExhausted:
		return true
	}
	return false
}

// What the pod asks to wait for; nothing if it does not.
func retryDelay(err error) time.Duration {
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.RetryInfo); ok {
			return info.RetryDelay.AsDuration()
		}
	}
	return 0
}

// NewID gives a random id: of a holder, or of a request.
func NewID() string {
	id := make([]byte, 16)
	_, _ = rand.Read(id) // never fails
	return hex.EncodeToString(id)
}
