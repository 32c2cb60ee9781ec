// Package kubernetes checks the manifests of deploy/kubernetes against the types of Kubernetes and
// the settings of the product.
package kubernetes

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

const dir = "../../deploy/kubernetes"

// manifests are the objects of all files, by kind and name; alternative objects have their file in
// the name.
type manifests struct {
	services    map[string]*corev1.Service
	statefulSet *appsv1.StatefulSet
	deployment  *appsv1.Deployment
	budgets     map[string]*policyv1.PodDisruptionBudget
	autoscaler  *autoscalingv2.HorizontalPodAutoscaler
	scaled      map[string]*scaledObject // by the type of their trigger
	credential  *triggerAuthentication
}

// decode decodes a document; a member that the type does not have, or a repeated member, is an
// error.
func decode[T any](t *testing.T, text []byte) *T {
	t.Helper()
	into := new(T)
	if err := yaml.UnmarshalStrict(text, into); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return into
}

func load(t *testing.T) manifests {
	t.Helper()
	m := manifests{services: make(map[string]*corev1.Service), budgets: make(map[string]*policyv1.PodDisruptionBudget), scaled: make(map[string]*scaledObject)}
	files, err := filepath.Glob(dir + "/*.yaml")
	if err != nil || len(files) != 6 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, file := range files {
		if filepath.Base(file) == "kustomization.yaml" {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for document := range strings.SplitSeq(string(text), "\n---\n") {
			m.add(t, []byte(document))
		}
	}
	return m
}

func (m *manifests) add(t *testing.T, text []byte) {
	t.Helper()
	var kind metav1.TypeMeta
	if err := yaml.Unmarshal(text, &kind); err != nil {
		t.Fatal(err)
	}
	switch kind.APIVersion + " " + kind.Kind {
	case "v1 Service":
		one := decode[corev1.Service](t, text)
		m.services[one.Name] = one
	case "apps/v1 StatefulSet":
		m.statefulSet = decode[appsv1.StatefulSet](t, text)
	case "apps/v1 Deployment":
		m.deployment = decode[appsv1.Deployment](t, text)
	case "policy/v1 PodDisruptionBudget":
		one := decode[policyv1.PodDisruptionBudget](t, text)
		m.budgets[one.Name] = one
	case "autoscaling/v2 HorizontalPodAutoscaler":
		m.autoscaler = decode[autoscalingv2.HorizontalPodAutoscaler](t, text)
	case "keda.sh/v1alpha1 ScaledObject":
		one := decode[scaledObject](t, text)
		m.scaled[one.Spec.Triggers[0].Type] = one
	case "keda.sh/v1alpha1 TriggerAuthentication":
		m.credential = decode[triggerAuthentication](t, text)
	default:
		t.Fatalf("nobody knows a %s %s", kind.APIVersion, kind.Kind)
	}
}

// pods returns the pods of the distributors and of the analyzers.
func (m *manifests) pods() map[string]corev1.PodTemplateSpec {
	return map[string]corev1.PodTemplateSpec{"distributor": m.statefulSet.Spec.Template, "analyzer": m.deployment.Spec.Template}
}

// environment returns the values of a container's environment variables.
func environment(c corev1.Container) map[string]string {
	values := make(map[string]string)
	for _, one := range c.Env {
		values[one.Name] = one.Value
		if one.ValueFrom != nil {
			values[one.Name] = "from-elsewhere"
		}
	}
	return values
}
