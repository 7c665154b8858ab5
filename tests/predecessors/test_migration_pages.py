"""Every option of the predecessors' code and configurations stands on the page for those who come from them."""

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
OPTIONS = {
    # Sections parameters, preparation, sampling, general; variable files; the command line.
    "umami": """
        parameters cut_parameters batch_size input_h5 ntuples path file_pattern randomise jets_name collection_name
        samples type category n_jets cuts operator condition NaNcheck output_name f_output
        class_labels method count pdf importance_no_replace weighting use_validation_samples
        sampling_variables samples_training samples_validation custom_n_jets_initial fractions max_upsampling_ratio
        sampling_fraction n_jets_validation n_jets_scaling save_tracks tracks_names save_track_labels
        intermediate_index_file intermediate_index_file_validation weighting_target_flavour bool_attach_sample_weights
        n_jets_to_plot target_distribution
        outfile_name outfile_name_validation plot_name plot_type apply_atlas_style use_atlas_tag atlas_first_tag
        atlas_second_tag plot_sample_label legend_sample_category var_file dict_file compression precision
        concat_jet_tracks convert_to_tfrecord chunk_size N_add_vars sample_path file_path
        label train_variables custom_defaults_vars track_train_variables noNormVars logNormVars jointNormVars
        track_truth_variables track_weight_variables additional_labels
        --prepare --sample --shuffle_array --resampling --hybrid_validation --flavour --weighting --scaling --write
        --to_records --chunk_size
    """,
    "upp": """
        inputs labels selection common train val test pattern equal_jets region components num_jets num_jets_val
        num_jets_test target method sampling_fraction upscale_pdf bins
        reweighting reweight_vars class_var class_target add_overflow target_hist_func group merge_num_proc
        variable_map ints_map floats_map plotting umami
        base_dir ntuple_dir components_dir out_dir out_fname batch_size num_jets_estimate merge_test_samples jets_name
        flavour_config flavour_category num_jets_per_output_file skip_checks skip_config_copy vds_dir class_config
        --split --prep --resample --merge --norm --plot --reweight --rw-merge --component --region --container --files
        --grid
    """,
    "cms": """
        clean.py prep_new.py calc_scalers apply_to_TT apply_to_QCD minima.npy random_state hadronFlavour nBHadrons
        trackSumJetDeltaR jetNSelectedTracks jetNTracksEtaRel
    """,
    # RootConverter, SetBuilder, resample.py, split.py, the scripts for Slurm.
    "root2hdf5": """
        source_list tree_name test_name trim rw_type cut_func cut_branches total flatten event_branches unit_multiplier
        pt_name max_constits mask_lim s_constit_branches t_constit_branches s_jet_branches t_jet_branches hl_branches
        hlvars weight_branches constit_func jet_func syst_func syst_loc hlvar_check images_branch target_dir name_stem
        n_targets
        signal background n_files train_name test_name test_frac train_test_mod stack_constits stack_jets stack_hlvars
        jet_fields jet_keys weight_func match_weights flat_weights standards dummy_label resample.py split.py run_r2h.sh
        run_ms.sh
    """,
}


@pytest.mark.parametrize("predecessor", OPTIONS)
def test_every_option_of_theirs_is_named(predecessor):
    text = (DOCS / f"from-{predecessor}.md").read_text()
    of_theirs = OPTIONS[predecessor].split()
    assert [o for o in of_theirs if not re.search(rf"(?<![\w-]){re.escape(o)}(?!\w)", text)] == []
