// Reads manifests as YAML on standard input and validates each object as an API server does before it stores it:
// strict decoding, defaults, and the rules of its kind. Webhooks and objects of Prometheus' operator are decoded strictly.
// Prints a line for each mistake and ends with 1, or prints how many objects it has seen.
package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	podutil "k8s.io/kubernetes/pkg/api/pod"
	"k8s.io/kubernetes/pkg/apis/admissionregistration"
	_ "k8s.io/kubernetes/pkg/apis/admissionregistration/install"
	"k8s.io/kubernetes/pkg/apis/apps"
	_ "k8s.io/kubernetes/pkg/apis/apps/install"
	appsvalidation "k8s.io/kubernetes/pkg/apis/apps/validation"
	"k8s.io/kubernetes/pkg/apis/autoscaling"
	_ "k8s.io/kubernetes/pkg/apis/autoscaling/install"
	autoscalingvalidation "k8s.io/kubernetes/pkg/apis/autoscaling/validation"
	"k8s.io/kubernetes/pkg/apis/batch"
	_ "k8s.io/kubernetes/pkg/apis/batch/install"
	batchvalidation "k8s.io/kubernetes/pkg/apis/batch/validation"
	"k8s.io/kubernetes/pkg/apis/core"
	_ "k8s.io/kubernetes/pkg/apis/core/install"
	corevalidation "k8s.io/kubernetes/pkg/apis/core/validation"
	"k8s.io/kubernetes/pkg/apis/networking"
	_ "k8s.io/kubernetes/pkg/apis/networking/install"
	networkingvalidation "k8s.io/kubernetes/pkg/apis/networking/validation"
	"k8s.io/kubernetes/pkg/apis/policy"
	_ "k8s.io/kubernetes/pkg/apis/policy/install"
	policyvalidation "k8s.io/kubernetes/pkg/apis/policy/validation"
	"k8s.io/kubernetes/pkg/apis/rbac"
	_ "k8s.io/kubernetes/pkg/apis/rbac/install"
	rbacvalidation "k8s.io/kubernetes/pkg/apis/rbac/validation"
	"k8s.io/kubernetes/pkg/capabilities"
)

func validate(object runtime.Object) (field.ErrorList, error) {
	switch o := object.(type) {
	case *apps.Deployment:
		return appsvalidation.ValidateDeployment(o, options(&o.Spec.Template)), nil
	case *apps.DaemonSet:
		return appsvalidation.ValidateDaemonSet(o, options(&o.Spec.Template)), nil
	case *batch.Job:
		// A server makes the selector itself, so it is not asked for.
		template := &batch.JobTemplateSpec{ObjectMeta: o.ObjectMeta, Spec: o.Spec}
		return batchvalidation.ValidateJobTemplateSpec(template, field.NewPath("job"), options(&o.Spec.Template)), nil
	case *autoscaling.HorizontalPodAutoscaler:
		return autoscalingvalidation.ValidateHorizontalPodAutoscaler(o, autoscalingvalidation.HorizontalPodAutoscalerSpecValidationOptions{}), nil
	case *core.Service:
		return corevalidation.ValidateServiceCreate(o), nil
	case *core.ConfigMap:
		return corevalidation.ValidateConfigMap(o), nil
	case *core.Secret:
		return corevalidation.ValidateSecret(o), nil
	case *core.ServiceAccount:
		return corevalidation.ValidateServiceAccount(o), nil
	case *core.Namespace:
		return corevalidation.ValidateNamespace(o), nil
	case *networking.NetworkPolicy:
		return networkingvalidation.ValidateNetworkPolicy(o, networkingvalidation.NetworkPolicyValidationOptions{}), nil
	case *policy.PodDisruptionBudget:
		return policyvalidation.ValidatePodDisruptionBudget(o, policyvalidation.PodDisruptionBudgetValidationOptions{}), nil
	case *admissionregistration.MutatingWebhookConfiguration:
		// Its rules need the whole of an API server.
		return nil, nil
	case *rbac.Role:
		return rbacvalidation.ValidateRole(o), nil
	case *rbac.RoleBinding:
		return rbacvalidation.ValidateRoleBinding(o), nil
	case *rbac.ClusterRole:
		return rbacvalidation.ValidateClusterRole(o, rbacvalidation.ClusterRoleValidationOptions{}), nil
	case *rbac.ClusterRoleBinding:
		return rbacvalidation.ValidateClusterRoleBinding(o), nil
	case *monitoring.ServiceMonitor, *monitoring.PodMonitor, *monitoring.PrometheusRule:
		return nil, nil
	}
	return nil, fmt.Errorf("%T is a kind that this program does not know", object)
}

func options(template *core.PodTemplateSpec) corevalidation.PodValidationOptions {
	return podutil.GetValidationOptionsFromPodTemplate(template, nil)
}

// Kinds that belong to no namespace; others get one from the request.
func isClusterScoped(object runtime.Object) bool {
	switch object.(type) {
	case *core.Namespace, *rbac.ClusterRole, *rbac.ClusterRoleBinding, *admissionregistration.MutatingWebhookConfiguration:
		return true
	}
	return false
}

func check(decoder runtime.Decoder, document []byte) (string, error) {
	decoded, kind, err := decoder.Decode(document, nil, nil)
	if err != nil {
		return "", err
	}
	object, err := meta.Accessor(decoded)
	if err != nil {
		return "", err
	}
	name := fmt.Sprintf("%s %s", kind.Kind, object.GetName())
	if kind.Group == monitoring.SchemeGroupVersion.Group {
		if object.GetName() == "" {
			return name, errors.New("metadata.name: Required value")
		}
		return name, nil
	}
	legacyscheme.Scheme.Default(decoded)
	converted, err := legacyscheme.Scheme.ConvertToVersion(decoded, runtime.InternalGroupVersioner)
	if err != nil {
		return name, err
	}
	internal, err := meta.Accessor(converted)
	if err != nil {
		return name, err
	}
	if internal.GetNamespace() == "" && !isClusterScoped(converted) {
		internal.SetNamespace("default")
	}
	mistakes, err := validate(converted)
	if err != nil {
		return name, err
	}
	return name, mistakes.ToAggregate()
}

func main() {
	// As kubeadm and others start it: --allow-privileged.
	capabilities.Setup(true, 0)
	scheme := legacyscheme.Scheme
	if err := monitoring.AddToScheme(scheme); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	codecs := serializer.NewCodecFactory(scheme, serializer.EnableStrict)
	decoder := codecs.UniversalDeserializer()
	reader := yaml.NewYAMLReader(bufio.NewReader(os.Stdin))
	seen, wrong := 0, 0
	for {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
		if isBlank(document) {
			continue
		}
		seen++
		if name, err := check(decoder, document); err != nil {
			wrong++
			fmt.Printf("%s: %v\n", name, err)
		}
	}
	if wrong > 0 {
		os.Exit(1)
	}
	fmt.Printf("%d objects\n", seen)
}

// Of nothing but comments.
func isBlank(document []byte) bool {
	for _, line := range bytes.Split(document, []byte("\n")) {
		text := strings.TrimSpace(string(line))
		if text != "" && text != "---" && !strings.HasPrefix(text, "#") {
			return false
		}
	}
	return true
}
