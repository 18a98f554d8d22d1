"""The exercises, one file each: the solution, the inputs to try, and the mistakes that students make."""

# In the order of the course, a line for each notebook.
ORDER = """
    gaussian_product brownian_path
    mix unmix rms_distance
    alpha_bar prior_bits log_snr
    chain_step closed_form noisy_batch strided_beta
    best_guess gaussian_denoiser ideal_denoiser eps_from_score mixture_score
    x0_from_eps v_from_x0_and_eps x0_from_v clipped_eps
    drop_labels training_loss sgd_step ema_update
    film embed_time up_and_join attend
    ddim_step strided_times sample_loop ddpm_step
    guided_eps classifier_guided_eps class_log_posterior
    posterior_precision posterior_variance posterior_mean walk_back
    gaussian_kl step_kl simple_weight negative_elbo
    bits_per_dim pixel_log_prob best_variance
    vp_path ode_drift reverse_sde_step langevin_step
    observed_order heun_step dpm_2m_step karras_sigmas
    log_prob_by_euler hutchinson_trace density_to_bits_per_dim
    inception_score mmd2 precision_recall frechet_distance
    diffusers_table diffusers_trailing scale_model_input
    paste_known back_up dps_gradient
    average_pool_adjoint psnr expected_error
    sdedit_start mode_change inversion_step
    kalman_mean coverage_90 log_evidence
    latent_gaussian draw_latent latent_scale
    embed_words word_maps caption_score
    patchify adaln_zero
    conv_multiply_adds block_multiply_adds
    best_discriminator slope_penalty kl_of_axes modes_covered
    best_error lda_rule shrinking_variance
    points_needed expectation
    first_noise tighter_bound
    adams_step extrapolate
    variance_of_run follow_variance
""".split()
